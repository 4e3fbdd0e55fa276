"""Accounts: an alias means one account, and is never the id."""

from __future__ import annotations

from tradeshell.engine.accounts import Accounts


def test_an_alias_keeps_its_account_and_a_later_one_that_looks_alike_is_written_longer() -> None:
    accounts = Accounts()
    ids = ("DU1110001", "DU2220001", "DU3320001", "DU4320001", "DU9320001")
    found = [accounts.alias(account) for account in ids]
    assert found == ["DU…0001", "DU…20001", "DU…320001", "DU…0001#2", "DU…0001#3"]
    assert [accounts.alias(account) for account in reversed(ids)] == found[::-1]
    assert accounts.alias("DU…0001") == "DU…0001"
