from __future__ import annotations

import stat
from datetime import UTC, datetime

from restock.adapters.database.engine import open_database
from restock.adapters.database.migrate import require_migrated
from restock.operations.first_start import prepare_ledger
from restock.operations.identity.signing_in import sign_in
from restock.settings import Settings


def test_prepare_ledger_makes_tables_and_an_admin_and_says_the_password_once(tmp_path):
    settings = Settings(workspace=tmp_path / "new")
    (line,) = prepare_ledger(settings, is_seen_by_a_person=True)
    assert prepare_ledger(settings, is_seen_by_a_person=True) == []
    engine = require_migrated(open_database(settings.ledger_url))
    user = sign_in(engine, "admin", line.split()[-1], address="127.0.0.1", now=datetime.now(UTC)).user
    assert user.must_change_password
    assert stat.S_IMODE((tmp_path / "new" / "ledger.db").stat().st_mode) == 0o600


def test_prepare_ledger_off_a_terminal_keeps_the_password_in_a_file_of_its_owner(tmp_path):
    settings = Settings(workspace=tmp_path)
    (line,) = prepare_ledger(settings, is_seen_by_a_person=False)
    file = tmp_path / "secrets" / "first-admin-password.txt"
    assert str(file) in line
    assert file.read_text().strip() not in line
    assert file.stat().st_mode & 0o777 == 0o600
