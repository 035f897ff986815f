"""Webhooks of the registry: what is sent for which act, signed how, tried how often, and where it may not go."""

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Iterator

import pytest

from tests.background import work_off
from tests.domains.alerts.receiver import Receiver, listening
from trimtab.app import App, build
from trimtab.domains.govern.errors import NotPermitted
from trimtab.domains.registry.errors import WebhookNotFound
from trimtab.domains.registry.webhooks.model import EXAMPLES, WebhookEvent, check_url
from trimtab.infra.db.queries import statement
from trimtab.infra.outbound import Outbound, is_public
from trimtab.infra.secrets import Secrets, SecretUnreadable, is_sealed
from trimtab.kernel.errors import Invalid
from trimtab.kernel.who import Principal
from trimtab.reach import may_send_to_private
from trimtab.settings import Settings

CREATED = WebhookEvent("registered_model", "created")
ALL = list(EXAMPLES)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as running:
        yield running


def verified(secret: str, headers: dict[str, str], body: bytes) -> dict:
    """Check both signatures and return the message."""
    message_id, at = headers["x-mlflow-delivery-id"], headers["x-mlflow-timestamp"]
    assert uuid.UUID(message_id).version == 4
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (message_id, at)
    key = base64.b64decode(secret.removeprefix("whsec_")) if secret.startswith("whsec_") else secret.encode()
    for header, used in (("x-mlflow-signature", secret.encode()), ("webhook-signature", key)):
        made = hmac.new(used, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
        assert headers[header] == f"v1,{base64.b64encode(made).decode()}"
    return json.loads(body)


def test_each_act_is_told_in_its_own_words(app: App, owner: Principal, receiver: Receiver) -> None:
    registry = app.registry
    registry.webhooks.create(owner, name="all", url=receiver.url, events=ALL, secret="s3cret")
    registry.create_model(owner, "m", description="d", tags={"a": "1"})
    registry.create_version(owner, "m", source="s3://b/x", tags={"k": "v"})
    registry.set_version_tag(owner, "m", 1, key="t", value="x")
    registry.delete_version_tag(owner, "m", 1, key="t")
    registry.set_alias(owner, "m", "champion", 1)
    registry.delete_alias(owner, "m", "champion")
    registry.set_model_tag(owner, "m", key="quiet", value="x")
    prompt = {"mlflow.prompt.is_prompt": "true"}
    registry.create_model(owner, "p", tags=prompt)
    registry.create_version(
        owner, "p", source="dummy-source", tags={**prompt, "mlflow.prompt.text": "hi {{x}}", "z": "1"}
    )
    registry.set_model_tag(owner, "p", key="t", value="x")
    registry.delete_model_tag(owner, "p", key="t")
    registry.set_version_tag(owner, "p", 1, key="t", value="x")
    registry.delete_version_tag(owner, "p", 1, key="t")
    registry.set_alias(owner, "p", "live", 1)
    registry.delete_alias(owner, "p", "live")
    work_off(app)
    told = {}
    for got in receiver.got:
        message = verified("s3cret", *got)
        told[f"{message['entity']}.{message['action']}"] = message["data"]
    assert told == {
        "registered_model.created": {"name": "m", "tags": {"a": "1"}, "description": "d"},
        "model_version.created": {"name": "m", "version": "1", "source": "s3://b/x", "run_id": None, "tags": {"k": "v"}, "description": None},
        "model_version_tag.set": {"name": "m", "version": "1", "key": "t", "value": "x"},
        "model_version_tag.deleted": {"name": "m", "version": "1", "key": "t"},
        "model_version_alias.created": {"name": "m", "alias": "champion", "version": "1"},
        "model_version_alias.deleted": {"name": "m", "alias": "champion"},
        "prompt.created": {"name": "p", "tags": {}, "description": ""},
        "prompt_version.created": {"name": "p", "version": "1", "template": "hi {{x}}", "tags": {"z": "1"}, "description": None},
        "prompt_tag.set": {"name": "p", "key": "t", "value": "x"},
        "prompt_tag.deleted": {"name": "p", "key": "t"},
        "prompt_version_tag.set": {"name": "p", "version": "1", "key": "t", "value": "x"},
        "prompt_version_tag.deleted": {"name": "p", "version": "1", "key": "t"},
        "prompt_alias.created": {"name": "p", "alias": "live", "version": "1"},
        "prompt_alias.deleted": {"name": "p", "alias": "live"},
    }  # fmt: skip


def test_a_busy_receiver_is_tried_again_and_a_refusal_is_final(
    app: App, owner: Principal, receiver: Receiver
) -> None:
    hooks = app.registry.webhooks
    hook = hooks.create(
        owner,
        name="h",
        url=receiver.url,
        events=[CREATED],
        secret="whsec_" + base64.b64encode(b"k" * 24).decode(),
    )
    receiver.answers = [503]
    app.registry.create_model(owner, "a")
    work_off(app)
    assert len(receiver.got) == 2
    messages = [
        verified(hook_secret, *got)
        for got in receiver.got
        if (hook_secret := "whsec_" + base64.b64encode(b"k" * 24).decode())
    ]
    assert messages[0] == messages[1]
    assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"]
    receiver.answers = [400]
    app.registry.create_model(owner, "b")
    work_off(app)
    failed, delivered = hooks.deliveries(owner, hook.id).items
    assert (delivered.state, delivered.attempts, delivered.status_code) == ("delivered", 2, 204)
    assert (failed.state, failed.attempts, failed.error) == ("failed", 1, "the receiver answered 400")
    hooks.change(owner, hook.id, status="DISABLED")
    app.registry.create_model(owner, "c")
    work_off(app)
    assert len(receiver.got) == 3
    assert hooks.expire(before_us=2**60) == 2


def test_a_message_is_stored_with_its_cause_or_not_at_all(
    app: App, owner: Principal, receiver: Receiver
) -> None:
    hook = app.registry.webhooks.create(owner, name="A", url=receiver.url, events=[CREATED])
    app.registry.create_model(owner, "a")
    with pytest.raises(Exception, match="exists"):
        app.registry.create_model(owner, "a")
    assert len(app.registry.webhooks.deliveries(owner, hook.id).items) == 1


def test_a_test_message_is_an_example(app: App, owner: Principal, receiver: Receiver) -> None:
    hooks = app.registry.webhooks
    hook = hooks.create(owner, name="h", url=receiver.url, events=[CREATED])
    assert hooks.test(owner, hook.id).success
    receiver.answers = [404]
    outcome = hooks.test(owner, hook.id, WebhookEvent("prompt_alias", "created"))
    assert (outcome.success, outcome.response_status) == (False, 404)
    first, second = (json.loads(body) for _, body in receiver.got)
    assert first["data"] == EXAMPLES[CREATED]
    assert second["entity"] == "prompt_alias"
    assert "x-mlflow-signature" not in receiver.got[0][0]
    dead = hooks.create(owner, name="dead", url="http://127.0.0.1:9/", events=[CREATED])
    assert "refused" in (hooks.test(owner, dead.id).error_message or "")


def test_only_an_admin_chooses_addresses_and_it_is_recorded(
    app: App, owner: Principal, editor: Principal, receiver: Receiver
) -> None:
    hooks = app.registry.webhooks
    hook = hooks.create(owner, name="h", url=receiver.url, events=[CREATED], secret="hidden-away")
    for act in (
        lambda: hooks.create(editor, name="x", url=receiver.url, events=[CREATED]),
        lambda: hooks.change(editor, hook.id, url="http://127.0.0.1/"),
        lambda: hooks.delete(editor, hook.id),
        lambda: hooks.test(editor, hook.id),
    ):
        with pytest.raises(NotPermitted):
            act()
    with pytest.raises(WebhookNotFound):
        hooks.get(owner, "nothing")
    hooks.delete(owner, hook.id)
    with pytest.raises(WebhookNotFound):
        hooks.get(editor, hook.id)
    trail = app.govern.audit_trail(owner).items
    assert [one.action for one in trail] == ["registry.webhook.delete", "registry.webhook.create"]
    assert "hidden-away" not in str(trail)


@pytest.mark.parametrize(
    ("name", "url", "events"),
    [
        ("", "http://h/", [CREATED]),
        ("-a", "http://h/", [CREATED]),
        ("a" * 64, "http://h/", [CREATED]),
        ("a\n", "http://h/", [CREATED]),
        ("a", "", [CREATED]),
        ("a", "ftp://h/", [CREATED]),
        ("a", "http://", [CREATED]),
        ("a", "http://h:0/", [CREATED]),
        ("a", "http://[/", [CREATED]),
        ("a", "http://h/ü", [CREATED]),
        ("a", "http://h/", []),
        ("a", "http://h/", [WebhookEvent("registered_model", "deleted")]),
    ],
)
def test_bad_webhooks_are_refused(
    app: App, owner: Principal, name: str, url: str, events: list[WebhookEvent]
) -> None:
    with pytest.raises(Invalid):
        app.registry.webhooks.create(owner, name=name, url=url, events=events)


def test_pages_follow_each_other(app: App, owner: Principal) -> None:
    hooks = app.registry.webhooks
    made = [hooks.create(owner, name=f"h{n}", url="http://h/", events=ALL[:3]) for n in range(5)]
    seen, cursor = [], None
    while True:
        page = hooks.find(owner, limit=2, cursor=cursor)
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == made[::-1]


def test_private_addresses_are_refused_where_the_server_is_open_to_others(app: App) -> None:
    assert may_send_to_private(Settings(host="127.0.0.1"))
    assert not may_send_to_private(Settings(host="10.0.0.5"))
    assert may_send_to_private(Settings(host="10.0.0.5", private_webhooks="allow"))
    assert not may_send_to_private(Settings(host="localhost", private_webhooks="refuse"))
    with pytest.raises(Invalid):
        may_send_to_private(Settings(private_webhooks="maybe"))
    outbound = Outbound(private=False)
    for address in (
        "127.0.0.1", "10.1.2.3", "169.254.169.254", "192.168.0.1", "100.64.0.1", "0.0.0.0", "224.0.0.1", "::1", "fe80::1",
        "fc00::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "fe80::1%eth0", "nonsense",
    ):  # fmt: skip
        assert not is_public(address), address
    assert is_public("93.184.216.34")
    assert is_public("2606:2800:220:1::1")
    for url in ("https://localhost/", "https://127.0.0.1/", "https://[::1]/", "https://0x7f000001/"):
        with pytest.raises(Invalid):
            outbound.check_host(url)
    answer = outbound.post("http://127.0.0.1:9/", b"{}", {}, timeout_s=1)
    assert "no public address" in (answer.error or "")
    with pytest.raises(Invalid, match="scheme"):
        check_url("http://example.com/", private=False)


def test_secrets_lie_sealed_and_open_for_their_purpose_only(tmp_path) -> None:
    secrets = Secrets(tmp_path / "home" / "secret.key")
    sealed = secrets.seal("s3cret", purpose="a")
    assert is_sealed(sealed)
    assert "s3cret" not in sealed
    assert Secrets(tmp_path / "home" / "secret.key").open(sealed, purpose="a") == "s3cret"
    assert secrets.open("whsec_old", purpose="a") == "whsec_old"
    assert (tmp_path / "home" / "secret.key").stat().st_mode & 0o777 == 0o600
    for wrong in (
        lambda: secrets.open(sealed, purpose="b"),
        lambda: secrets.open(sealed[:-4] + "AAAA", purpose="a"),
        lambda: secrets.open("sealed:1:??", purpose="a"),
        lambda: Secrets(tmp_path / "other.key").open(sealed, purpose="a"),
    ):
        with pytest.raises(SecretUnreadable):
            wrong()
    (tmp_path / "bad.key").write_text("short")
    with pytest.raises(SecretUnreadable):
        Secrets(tmp_path / "bad.key").seal("x", purpose="a")


def test_secrets_of_channels_are_sealed_also_those_from_before(
    app: App, owner: Principal, receiver: Receiver
) -> None:
    from trimtab.domains.alerts import store

    channels = app.alerts.channels
    _, secret = channels.add(owner, name="ops", url=receiver.url)
    assert secret is not None
    with app.db.write() as tx:
        assert is_sealed(store.channel_secret(tx, name="ops") or "")
        store.set_channel_secret(tx, name="ops", secret=secret)
    assert channels.test(owner, "ops").ok
    assert (channels.seal_secrets(), channels.seal_secrets()) == (1, 0)
    assert channels.test(owner, "ops").ok
    again = build(app.settings)
    try:
        assert again.alerts.channels.test(owner, "ops").ok
    finally:
        again.close()


def test_a_secret_that_does_not_open_is_told_at_its_message(app: App, owner: Principal) -> None:
    hooks = app.registry.webhooks
    event = WebhookEvent("registered_model", "created")
    made = hooks.create(owner, name="w", url="https://127.0.0.1:1/", events=[event], secret="s" * 32)
    app.registry.create_model(owner, "m")
    with app.db.write() as tx:
        tx.run(statement("damage", "update registry_webhook set secret = 'sealed:1:AAAA'"))
    (waiting,) = hooks.deliveries(owner, made.id).items
    hooks.deliver(owner, waiting.id, attempt=4)
    (failed,) = hooks.deliveries(owner, made.id).items
    assert failed.state == "failed"
    assert "does not open" in (failed.error or "")
