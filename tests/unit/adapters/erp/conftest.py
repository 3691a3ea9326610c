from __future__ import annotations

import pytest

from tests.erp_clients import connect_erpnext, connect_odoo
from tests.erp_servers import serve
from tests.erpnext_server import ErpNextServer
from tests.odoo_server import OdooServer


@pytest.fixture
def erpnext():
    server = ErpNextServer()
    with serve(server):
        yield server


@pytest.fixture
def odoo():
    server = OdooServer()
    with serve(server):
        yield server


@pytest.fixture
def erpnext_client(erpnext):
    client = connect_erpnext(erpnext)
    yield client
    client.close()


@pytest.fixture
def odoo_client(odoo):
    client = connect_odoo(odoo)
    yield client
    client.close()
