"""A small Odoo: JSON-RPC with its domains, external identifiers, states and errors."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from tests.erp_servers import Answer, Asked, FakeErp

DATABASE, USERNAME, PASSWORD = "shop", "restock", "s3cret-of-odoo"
_USER = 7
# Field of a model and the model that its number belongs to.
_MANY2ONE = {
    ("product.product", "uom_id"): "uom.uom",
    ("product.product", "categ_id"): "product.category",
    ("product.product", "product_tmpl_id"): "product.template",
    ("product.packaging", "product_id"): "product.product",
    ("uom.uom", "category_id"): "uom.category",
    ("stock.warehouse", "lot_stock_id"): "stock.location",
    ("stock.location", "warehouse_id"): "stock.warehouse",
    ("stock.picking.type", "warehouse_id"): "stock.warehouse",
    ("stock.quant", "product_id"): "product.product",
    ("stock.quant", "location_id"): "stock.location",
    ("res.partner", "country_id"): "res.country",
    ("res.partner", "commercial_partner_id"): "res.partner",
    ("purchase.order", "partner_id"): "res.partner",
    ("purchase.order", "picking_type_id"): "stock.picking.type",
    ("sale.order", "partner_id"): "res.partner",
    ("sale.order", "warehouse_id"): "stock.warehouse",
}
for _model in ("purchase.order.line", "sale.order.line"):
    _MANY2ONE[_model, "order_id"] = _model.removesuffix(".line")
    _MANY2ONE[_model, "product_id"] = "product.product"
    _MANY2ONE[_model, "product_uom"] = "uom.uom"
_ONE2MANY = {
    ("purchase.order", "order_line"): ("purchase.order.line", "order_id"),
    ("sale.order", "order_line"): ("sale.order.line", "order_id"),
}
_FIELDS = {
    "product.product": {"packaging_ids", "uom_po_id", "detailed_type"},
    "purchase.order.line": {"product_uom"},
    "sale.order.line": {"product_uom"},
}
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "in": lambda a, b: a in b,
}


class OdooError(Exception):
    """An error as Odoo raises it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name, self.message = name, message


class OdooServer(FakeErp):
    """An Odoo database with units of measure and a category, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, dict[int, dict[str, Any]]] = {}
        self.external: dict[str, tuple[str, int]] = {}
        self.may_write = True
        self._numbers = itertools.count(1)
        count = self.put("uom.category", name="Unit")
        weight = self.put("uom.category", name="Weight")
        self.piece = self.put("uom.uom", name="Units", category_id=count, factor=1.0, rounding=1.0)
        self.dozen = self.put("uom.uom", name="Dozens", category_id=count, factor=0.0833333333333, rounding=1.0)
        self.kilo = self.put("uom.uom", name="kg", category_id=weight, factor=1.0, rounding=0.001)
        self.category = self.put("product.category", name="All / Food / Drinks")

    def put(self, model: str, number: int | None = None, **values: Any) -> int:
        """Make or change a record past all rights, and return its number."""
        number = number or next(self._numbers)
        row = self.tables.setdefault(model, {}).setdefault(number, {"id": number, "active": True})
        row.update(values)
        row["write_date"] = self.tick()
        return number

    def put_product(self, code: str, **values: Any) -> int:
        """Make a product with its template."""
        template = self.put("product.template", name=code)
        standard = {"default_code": code, "name": code, "uom_id": self.piece, "categ_id": self.category}
        standard |= {"standard_price": 1.25, "lst_price": 2.5, "tracking": "none", "type": "product", "barcode": False}
        return self.put("product.product", product_tmpl_id=template, **{**standard, **values})

    def put_warehouse(self, code: str) -> int:
        """Make a warehouse with its main location and its operation type for receipts."""
        place = self.put("stock.location", name=f"{code}/Stock", usage="internal", warehouse_id=False)
        number = self.put("stock.warehouse", code=code, name=f"Warehouse {code}", lot_stock_id=place)
        self.put("stock.location", place, warehouse_id=number)
        self.put("stock.picking.type", name="Receipts", code="incoming", warehouse_id=number)
        return number

    def put_partner(self, name: str, **values: Any) -> int:
        """Make a partner."""
        number = self.put("res.partner", **{"name": name, "ref": False, "country_id": False, **values})
        self.tables["res.partner"][number].setdefault("commercial_partner_id", number)
        return number

    def put_order(self, model: str, name: str, lines: Sequence[dict[str, Any]], **values: Any) -> int:
        """Make an order with its lines."""
        standard = {"name": name, "date_order": "2024-05-01 09:00:00", "currency_rate": 1.0, "origin": False}
        state = "purchase" if model == "purchase.order" else "sale"
        number = self.put(model, **{**standard, "state": state, "date_planned": False, **values})
        for line in lines:
            self.put(f"{model}.line", order_id=number, **{"product_uom": self.piece, "price_unit": 1.5, **line})
        return number

    def put_quant(self, product: int, warehouse: int, quantity: float) -> int:
        """Set what lies loose at a warehouse's main location."""
        place = self.tables["stock.warehouse"][warehouse]["lot_stock_id"]
        empty = {"lot_id": False, "package_id": False, "owner_id": False}
        return self.put("stock.quant", product_id=product, location_id=place, quantity=quantity, **empty)

    def held(self, product: int, warehouse: int) -> float:
        """Return what a warehouse's main location holds."""
        place = self.tables["stock.warehouse"][warehouse]["lot_stock_id"]
        rows = self.tables.get("stock.quant", {}).values()
        return sum(row["quantity"] for row in rows if (row["product_id"], row["location_id"]) == (product, place))

    def answer(self, asked: Asked) -> Answer:
        """Return the reply to a request."""
        reply = {"jsonrpc": "2.0", "id": asked.body["id"]}
        params = asked.body["params"]
        try:
            result = self._call(params["service"], params["method"], params["args"])
        except OdooError as error:
            data = {
                "name": error.name,
                "debug": f"Traceback (most recent call last):\n{error.name}",
                "message": error.message,
                "arguments": [error.message],
                "context": {},
            }
            return Answer(200, {**reply, "error": {"code": 200, "message": "Odoo Server Error", "data": data}})
        return Answer(200, {**reply, "result": result})

    def _call(self, service: str, method: str, args: list[Any]) -> Any:
        if (service, method) == ("common", "authenticate"):
            return _USER if args[:3] == [DATABASE, USERNAME, PASSWORD] else False
        database, user, password, model, called, positional, named = args
        if (database, user, password) != (DATABASE, _USER, PASSWORD):
            raise OdooError("odoo.exceptions.AccessDenied", "Access Denied")
        reads = ("search_read", "fields_get")
        if called not in reads and not self.may_write:
            raise OdooError(
                "odoo.exceptions.AccessError",
                f"You are not allowed to modify '{model}' records.",
            )
        return getattr(self, f"_{called}")(model, *positional, **named)

    def _search_read(
        self, model: str, domain: list[Any], *, fields: list[str], order: str, limit: Any = False, context: Any = None
    ) -> list[dict[str, Any]]:
        rows = [row for row in self.tables.get(model, {}).values() if self._fits(model, row, list(domain))]
        if (context or {}).get("active_test", True):
            rows = [row for row in rows if row["active"]]
        name, direction = order.split()
        rows.sort(key=lambda row: row[name], reverse=direction == "desc")
        return [self._shown(model, row, fields) for row in rows[: limit or None]]

    def _fields_get(self, model: str, names: list[str], **_: Any) -> dict[str, Any]:
        return {name: {"type": "char"} for name in names if name in _FIELDS.get(model, set())}

    def _write(self, model: str, numbers: list[int] | int, values: dict[str, Any], **_: Any) -> bool:
        for number in [numbers] if isinstance(numbers, int) else numbers:
            if number not in self.tables.get(model, {}):
                raise OdooError("odoo.exceptions.MissingError", "Record does not exist or has been deleted.")
            if values.get("name") == "":
                raise OdooError("odoo.exceptions.ValidationError", "Missing required value for the field 'Name'.")
            self.put(model, number, **values)
        return True

    def _create(self, model: str, rows: list[dict[str, Any]], *, context: dict[str, Any]) -> list[int]:
        if model != "stock.quant" or not context.get("inventory_mode"):
            raise OdooError("odoo.exceptions.UserError", f"{model} is not made here")
        numbers = []
        for row in rows:
            key = (row["product_id"], row["location_id"])
            found = [
                each["id"]
                for each in self.tables.get(model, {}).values()
                if (each["product_id"], each["location_id"]) == key and not each["lot_id"]
            ]
            empty = {"lot_id": False, "package_id": False, "owner_id": False, "quantity": 0.0}
            numbers.append(self.put(model, found[0], **row) if found else self.put(model, **empty, **row))
        return numbers

    def _action_apply_inventory(self, model: str, numbers: list[int], **_: Any) -> None:
        for number in numbers:
            row = self.tables[model][number]
            if row.get("inventory_quantity") is not None:
                self.put(model, number, quantity=row["inventory_quantity"], inventory_quantity=None)

    def _button_confirm(self, model: str, numbers: list[int] | int, **_: Any) -> bool:
        for number in [numbers] if isinstance(numbers, int) else numbers:
            if self.tables[model][number]["state"] in ("draft", "sent"):
                self.put(model, number, state="purchase")
        return True

    def _button_cancel(self, model: str, numbers: list[int] | int, **_: Any) -> bool:
        for number in [numbers] if isinstance(numbers, int) else numbers:
            self.put(model, number, state="cancel")
        return True

    def _load(self, model: str, fields: list[str], data: list[list[str]], **_: Any) -> dict[str, Any]:
        rows = [dict(zip(fields, row, strict=True)) for row in data]
        head = {name: value for name, value in rows[0].items() if name != "id" and "order_line/" not in name}
        values: dict[str, Any] = {}
        for name, value in head.items():
            if name.endswith("/.id"):
                plain = name.removesuffix("/.id")
                target = _MANY2ONE.get((model, plain))
                if target and int(value) not in self.tables.get(target, {}):
                    message = f"No matching record found for database id '{value}' in field '{plain}'"
                    return {"ids": False, "messages": [{"type": "error", "message": message}], "nextrow": 0}
                values[plain] = int(value)
            else:
                values[name] = value or False
        if "supplier_rank" in values:
            values["supplier_rank"] = int(values["supplier_rank"])
        known = self.external.get(rows[0]["id"])
        if known is not None:
            self.put(model, known[1], **values)
            return {"ids": [known[1]], "messages": [], "nextrow": 0}
        number = self._make(model, values)
        self.external[rows[0]["id"]] = (model, number)
        for row in rows if model == "purchase.order" else ():
            line = {name.removeprefix("order_line/"): value for name, value in row.items() if "order_line/" in name}
            self.put(
                "purchase.order.line",
                order_id=number,
                product_id=int(line["product_id/.id"]),
                product_uom=int(line["product_uom/.id"]),
                product_qty=float(line["product_qty"]),
                qty_received=0.0,
                price_unit=float(line["price_unit"]),
            )
        return {"ids": [number], "messages": [], "nextrow": 0}

    def _make(self, model: str, values: dict[str, Any]) -> int:
        if model == "product.product":
            code = values.pop("default_code")
            return self.put_product(code, **{**values, "type": values.get("detailed_type", "product")})
        if model == "res.partner":
            return self.put_partner(values.pop("name"), **values)
        number = self.put(model, currency_rate=1.0, date_planned=False, **values, state="draft")
        self.put(model, number, name=f"P{number:05d}")
        return number

    def _shown(self, model: str, row: dict[str, Any], fields: list[str]) -> dict[str, Any]:
        shown: dict[str, Any] = {"id": row["id"]}
        for name in fields:
            value = self._value(model, row, name)
            target = _MANY2ONE.get((model, name))
            if target and value:
                value = [value, self.tables[target][value].get("name", "")]
            elif isinstance(value, datetime):
                # Kept to the microsecond, shown to the second.
                value = value.strftime("%Y-%m-%d %H:%M:%S")
            shown[name] = value
        return shown

    def _value(self, model: str, row: dict[str, Any], name: str) -> Any:
        if (model, name) in _ONE2MANY:
            lines, inverse = _ONE2MANY[model, name]
            return [each["id"] for each in self.tables.get(lines, {}).values() if each[inverse] == row["id"]]
        return row.get(name, False)

    def _fits(self, model: str, row: dict[str, Any], domain: list[Any]) -> bool:
        stack: list[bool] = []
        for term in reversed(domain):
            if term == "|":
                stack.append(stack.pop() | stack.pop())
            elif term == "&":
                stack.append(stack.pop() & stack.pop())
            else:
                stack.append(self._holds(model, row, *term))
        return all(stack)

    def _holds(self, model: str, row: dict[str, Any], path: str, operator: str, value: Any) -> bool:
        name, _, rest = path.partition(".")
        if rest:
            if (model, name) in _ONE2MANY:
                target = _ONE2MANY[model, name][0]
                numbers = self._value(model, row, name)
            else:
                target, number = _MANY2ONE[model, name], row.get(name)
                numbers = [number] if number else []
            return any(self._holds(target, self.tables[target][each], rest, operator, value) for each in numbers)
        mine = row.get(name, False)
        if isinstance(mine, datetime):
            value = datetime.fromisoformat(value).replace(tzinfo=mine.tzinfo)
        if operator in (">", ">=") and mine is False:
            mine = 0
        return _OPERATORS[operator](mine, value)
