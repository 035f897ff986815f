"""Sign-in, permission, tokens and the audit chain."""

import pytest

from trimtab.app import App
from trimtab.domains.govern.errors import BadToken, NotPermitted, TokenNotFound
from trimtab.infra.db.queries import statement
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal


def test_a_token_signs_in_until_it_is_revoked(app: App, owner: Principal) -> None:
    token, text = app.govern.create_token(owner, name="ci", role="editor")
    signed_in = app.govern.authenticate(f"Bearer {text}", None)
    assert (signed_in.name, signed_in.role) == ("ci", "editor")
    app.govern.revoke_token(owner, token.id)
    with pytest.raises(BadToken):
        app.govern.authenticate(f"Bearer {text}", None)
    with pytest.raises(TokenNotFound):
        app.govern.revoke_token(owner, token.id)


@pytest.mark.parametrize(
    "header", ["Bearer ", "Bearer tt_x", "Bearer tt_a_b", "Basic !!!", "Digest x", "Basic dXNlcjp4"]
)
def test_bad_credentials_are_refused(app: App, header: str) -> None:
    with pytest.raises(BadToken):
        app.govern.authenticate(header, None)


def test_roles_permit_what_they_include(
    app: App, owner: Principal, editor: Principal, viewer: Principal
) -> None:
    app.govern.permit(editor, "write", "runs")
    with pytest.raises(NotPermitted, match="needs the role editor"):
        app.govern.permit(viewer, "write", "runs")
    with pytest.raises(NotPermitted):
        app.govern.create_token(editor, name="x")
    with pytest.raises(Invalid, match="Did you mean 'viewer'"):
        app.govern.create_token(owner, name="x", role="viewr")


def test_the_secret_is_not_stored(app: App, owner: Principal) -> None:
    _, text = app.govern.create_token(owner, name="ci")
    with app.db.read() as tx:
        rows = tx.all(statement("every", "select * from govern_token"))
        trail = tx.all(statement("trail", "select * from govern_audit"))
    assert text not in str(rows) + str(trail)


def test_the_audit_chain_verifies_and_is_append_only(app: App, owner: Principal) -> None:
    for number in range(3):
        app.govern.create_token(owner, name=f"t{number}")
    verdict = app.govern.verify_audit(owner)
    assert (verdict.ok, verdict.checked) == (True, 3)
    for change in ("update govern_audit set actor = 'x'", "delete from govern_audit where seq = 2"):
        with pytest.raises(Exception, match="append-only"), app.db.write() as tx:
            tx.run(statement("change", change))
    assert app.govern.verify_audit(owner).ok


def test_a_changed_record_is_found(app: App, owner: Principal) -> None:
    for number in range(3):
        app.govern.create_token(owner, name=f"t{number}")
    drop = {
        "sqlite": "drop trigger govern_audit_no_update",
        "postgresql": "drop trigger govern_audit_append_only on govern_audit",
    }
    with app.db.write() as tx:
        tx.script([drop[app.db.dialect]])
        tx.run(statement("change", "update govern_audit set actor = 'someone' where seq = 2"))
    verdict = app.govern.verify_audit(owner)
    assert (verdict.ok, verdict.first_bad_seq) == (False, 2)


def test_the_trail_is_paged_newest_first(app: App, owner: Principal) -> None:
    for number in range(5):
        app.govern.create_token(owner, name=f"t{number}")
    first = app.govern.audit_trail(owner, limit=2)
    second = app.govern.audit_trail(owner, limit=3, cursor=first.next_cursor)
    assert [record.seq for record in first.items + second.items] == [5, 4, 3, 2, 1]
    assert second.next_cursor is None
    with pytest.raises(Invalid):
        app.govern.audit_trail(owner, cursor="bm9wZQ")


def test_an_owner_whose_tokens_have_expired_is_not_locked_out(app: App, owner: Principal) -> None:
    app.govern.create_token(owner, name="mine", role="admin")
    with app.db.write() as tx:
        tx.run(statement("expire", "update govern_token set expires_us = 1"))
    app.govern.create_token(owner, name="a machine", role="editor")
    text = app.govern.first_token()
    assert text is not None
    assert app.govern.authenticate(f"Bearer {text}", None).role == "admin"
    assert app.govern.first_token() is None
