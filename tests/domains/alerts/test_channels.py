"""Webhooks to a real receiver: signatures, retries, refusals, and secrets that nobody reads back."""

import base64
import hashlib
import hmac
import time

import msgspec
import pytest

from tests.background import work_off
from tests.domains.alerts.receiver import Receiver
from tests.domains.alerts.test_service import drift
from trimtab.app import App
from trimtab.domains.alerts import webhook
from trimtab.domains.alerts.errors import ChannelExists, ChannelInUse, ChannelNotFound
from trimtab.domains.alerts.model import Rule
from trimtab.domains.govern.errors import NotPermitted
from trimtab.infra.db.queries import statement
from trimtab.kernel.errors import Conflict, Invalid
from trimtab.kernel.who import Principal


def verify(secret: str, headers: dict[str, str], body: bytes) -> dict[str, object]:
    """Check a message as a receiver does, independently of the sender's code."""
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    version, signature = headers["webhook-signature"].split(",")
    assert version == "v1"
    assert hmac.compare_digest(base64.b64decode(signature), hmac.new(key, signed, hashlib.sha256).digest())
    return msgspec.json.decode(body)


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of the Standard Webhooks reference libraries."""
    made = webhook.headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        at_s=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_alert_is_delivered_signed(app: App, owner: Principal, receiver: Receiver) -> None:
    _, secret = app.alerts.channels.add(owner, name="ops", url=receiver.url)
    assert secret is not None
    alert = drift(app, owner, episode_id="ep_1")
    drift(app, owner)
    app.alerts.resolve(owner, alert.id)
    work_off(app)
    messages = sorted(
        (verify(secret, *got) for got in receiver.got), key=lambda message: str(message["type"])
    )
    assert [message["type"] for message in messages] == ["alert.opened", "alert.resolved"]
    data = messages[0]["data"]
    assert isinstance(data, dict)
    assert (data["id"], data["episode_id"]) == (alert.id, "ep_1")
    assert data["url"] == f"http://127.0.0.1:5000/alerts/{alert.id}"
    deliveries = app.alerts.channels.deliveries(owner, "ops").items
    assert {(item.state, item.attempts, item.status_code) for item in deliveries} == {("delivered", 1, 204)}


def test_failures_are_retried_with_the_same_id(app: App, owner: Principal, receiver: Receiver) -> None:
    app.alerts.channels.add(owner, name="ops", url=receiver.url)
    receiver.answers = [500, 429]
    drift(app, owner)
    work_off(app)
    assert len(receiver.got) == 3
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    (item,) = app.alerts.channels.deliveries(owner, "ops").items
    assert (item.state, item.attempts) == ("delivered", 3)


def test_redirects_are_not_followed(app: App, owner: Principal, receiver: Receiver) -> None:
    app.alerts.channels.add(owner, name="ops", url=receiver.url)
    receiver.answers = [307]
    outcome = app.alerts.channels.test(owner, "ops")
    assert (outcome.ok, outcome.status_code, len(receiver.got)) == (False, 307, 1)


def test_a_receiver_that_is_gone_is_left_alone(app: App, owner: Principal, receiver: Receiver) -> None:
    app.alerts.channels.add(owner, name="ops", url=receiver.url)
    receiver.answers = [410]
    drift(app, owner)
    work_off(app)
    assert not app.alerts.channels.find(owner)[0].enabled
    drift(app, owner, dedupe_key="another")
    work_off(app)
    assert len(receiver.got) == 1


def test_a_test_message_says_what_came_of_it(app: App, owner: Principal, receiver: Receiver) -> None:
    app.alerts.channels.add(owner, name="ops", url=receiver.url)
    assert app.alerts.channels.test(owner, "ops").ok
    app.alerts.channels.add(owner, name="dead", url="http://127.0.0.1:9/")
    outcome = app.alerts.channels.test(owner, "dead")
    assert not outcome.ok
    assert "refused" in (outcome.error or "")
    assert app.alerts.channels.deliveries(owner, "dead").items[0].state == "failed"


def test_rules_and_severities_choose_the_channels(app: App, owner: Principal, receiver: Receiver) -> None:
    for name, severity in (("all", "info"), ("pager", "critical"), ("off", "info")):
        app.alerts.channels.add(owner, name=name, url=receiver.url, min_severity=severity)  # type: ignore[arg-type]
    app.alerts.channels.enable(owner, "off", enabled=False)
    app.alerts.rules.add(owner, Rule("paged", channels=["pager"]))
    app.alerts.rules.add(owner, Rule("muted", enabled=False))

    def sent(rule: str, severity: str) -> list[str]:
        before = {
            name: len(app.alerts.channels.deliveries(owner, name).items) for name in ("all", "pager", "off")
        }
        drift(app, owner, rule=rule, severity=severity, dedupe_key=f"{rule}{severity}")
        return [
            name for name, count in before.items()
            if len(app.alerts.channels.deliveries(owner, name).items) > count
        ]  # fmt: skip

    assert sent("any", "warning") == ["all"]
    assert sent("any", "critical") == ["all", "pager"]
    assert sent("paged", "critical") == ["pager"]
    assert sent("paged", "warning") == []
    assert sent("muted", "critical") == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/x",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//example.com",
        "http://",
        "http://user:pass@example.com/",
        "http://example.com/#part",
        "http://exa mple.com/",
        "http://example.com:99999/",
        "http://[::1",
        "http://example.com/" + "x" * 2000,
    ],
)
def test_addresses_that_are_refused(app: App, owner: Principal, url: str) -> None:
    with pytest.raises(Invalid) as caught:
        app.alerts.channels.add(owner, name="x", url=url)
    assert caught.value.field == "url"
    assert app.alerts.channels.find(owner) == []


@pytest.mark.parametrize("secret", ["", "hunter2", "whsec_!!!", "whsec_c2hvcnQ=", "whsec_" + "A" * 200])
def test_weak_secrets_are_refused(app: App, owner: Principal, secret: str) -> None:
    with pytest.raises(Invalid) as caught:
        app.alerts.channels.add(owner, name="x", url="http://localhost/", secret=secret)
    assert caught.value.field == "secret"


def test_only_an_admin_chooses_addresses(app: App, owner: Principal, editor: Principal) -> None:
    app.alerts.channels.add(owner, name="ops", url="http://localhost/")
    for act in (
        lambda: app.alerts.channels.add(editor, name="x", url="http://localhost/"),
        lambda: app.alerts.channels.remove(editor, "ops"),
        lambda: app.alerts.channels.enable(editor, "ops", enabled=False),
        lambda: app.alerts.channels.test(editor, "ops"),
    ):
        with pytest.raises(NotPermitted):
            act()


def test_channels_are_named_once_and_kept_while_used(app: App, owner: Principal) -> None:
    app.alerts.channels.add(owner, name="ops", url="http://localhost/")
    with pytest.raises(ChannelExists):
        app.alerts.channels.add(owner, name="ops", url="http://localhost/")
    app.alerts.rules.add(owner, Rule("r", channels=["ops"]))
    with pytest.raises(ChannelInUse):
        app.alerts.channels.remove(owner, "ops")
    app.alerts.rules.remove(owner, "r")
    app.alerts.channels.remove(owner, "ops")
    with pytest.raises(ChannelNotFound):
        app.alerts.channels.remove(owner, "ops")


def test_a_secret_that_does_not_open_is_told_at_its_message(
    app: App, owner: Principal, receiver: Receiver
) -> None:
    app.alerts.channels.add(owner, name="ops", url=receiver.url)
    drift(app, owner)
    damaged = statement("damage", "update alerts_channel set secret = 'sealed:1:AAAA'")
    with app.db.write() as tx:
        tx.run(damaged)
    (waiting,) = app.alerts.channels.deliveries(owner, "ops").items
    with pytest.raises(Conflict):
        app.alerts.channels.deliver(owner, waiting.id, last=False)
    (failed,) = app.alerts.channels.deliveries(owner, "ops").items
    assert (failed.state, failed.attempts, len(receiver.got)) == ("failed", 1, 0)
    assert "does not open" in (failed.error or "")
