"""restock plans a retailer's or distributor's stock."""
