"""The ERPs that the settings name, each as a client."""

from __future__ import annotations

from enum import StrEnum

from pydantic import SecretStr

from restock.adapters.erp.calling import open_caller
from restock.adapters.erp.erpnext import ERPNEXT, ErpNext, authorization
from restock.adapters.erp.interface import ErpClient
from restock.adapters.erp.odoo import ODOO, Odoo
from restock.adapters.erp.odoo_calls import OdooDatabase
from restock.errors import RestockError
from restock.settings import Settings


class ErpNotConfiguredError(RestockError):
    """An ERP's address or credentials are not set."""

    exit_code = 2
    http_status = 409
    title = "This ERP is not set up"


class ErpSystem(StrEnum):
    """The ERPs that there is a client for."""

    ERPNEXT = ERPNEXT
    ODOO = ODOO


def list_configured(settings: Settings) -> tuple[ErpSystem, ...]:
    """Return the ERPs that have an address."""
    addresses = {ErpSystem.ERPNEXT: settings.erpnext_url, ErpSystem.ODOO: settings.odoo_url}
    return tuple(system for system, address in addresses.items() if address)


def open_client(system: ErpSystem, settings: Settings) -> ErpClient:
    """Return the client of an ERP.

    Raises:
        ErpNotConfiguredError: its address or credentials are not set.
        ConfigurationError: its address can't be used.
    """
    if system is ErpSystem.ERPNEXT:
        values = {
            "RESTOCK_ERPNEXT_URL": settings.erpnext_url,
            "RESTOCK_ERPNEXT_KEY": _reveal(settings.erpnext_key),
            "RESTOCK_ERPNEXT_SECRET": _reveal(settings.erpnext_secret),
        }
        url, key, secret = _require(values)
        caller = open_caller(
            url,
            secrets=(key, secret),
            headers=authorization(key, secret),
            is_http_allowed=settings.erp_allow_http,
        )
        return ErpNext(caller)
    values = {
        "RESTOCK_ODOO_URL": settings.odoo_url,
        "RESTOCK_ODOO_DATABASE": settings.odoo_database,
        "RESTOCK_ODOO_USERNAME": settings.odoo_username,
        "RESTOCK_ODOO_PASSWORD": _reveal(settings.odoo_password),
    }
    url, database, username, password = _require(values)
    caller = open_caller(url, secrets=(password,), is_http_allowed=settings.erp_allow_http)
    return Odoo(OdooDatabase(caller=caller, database=database, username=username, password=password))


def _reveal(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


def _require(values: dict[str, str | None]) -> list[str]:
    missing = [name for name, value in values.items() if not value]
    if missing:
        raise ErpNotConfiguredError(f"{', '.join(missing)} must be set to talk to this ERP.")
    return [value for value in values.values() if value]
