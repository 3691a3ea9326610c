"""Clients of the small ERPs, with patience that a test has time for."""

from __future__ import annotations

import random

from restock.adapters.erp.calling import Patience, open_caller
from restock.adapters.erp.erpnext import ErpNext, authorization
from restock.adapters.erp.odoo import Odoo
from restock.adapters.erp.odoo_calls import OdooDatabase
from tests import erpnext_server, odoo_server
from tests.erp_servers import FakeErp

QUICK = Patience(timeout_seconds=0.3, n_tries=3)


def connect(url, *, secrets=(), headers=None, patience=QUICK, pauses=None):
    """Return a caller that notes its pauses and does not sleep."""
    waited = [] if pauses is None else pauses
    return open_caller(
        url, secrets=secrets, headers=headers, patience=patience, sleep=waited.append, rng=random.Random(1)
    )


def connect_erpnext(server: FakeErp, *, secret=erpnext_server.SECRET, patience=QUICK) -> ErpNext:
    """Return a client of a small ERPNext."""
    key = erpnext_server.KEY
    return ErpNext(connect(server.url, secrets=(key, secret), headers=authorization(key, secret), patience=patience))


def connect_odoo(server: FakeErp, *, password=odoo_server.PASSWORD, patience=QUICK) -> Odoo:
    """Return a client of a small Odoo."""
    return Odoo(
        OdooDatabase(
            caller=connect(server.url, secrets=(password,), patience=patience),
            database=odoo_server.DATABASE,
            username=odoo_server.USERNAME,
            password=password,
        )
    )
