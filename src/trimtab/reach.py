"""What the settings say of addresses: where people and requests reach this server, and who gets in without a token."""

import ipaddress
from importlib.util import find_spec

from trimtab.kernel.errors import Invalid
from trimtab.settings import Settings


def public_url(settings: Settings) -> str:
    """Return the address under which people reach this server."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return settings.public_url or f"http://{host}:{settings.port}"


def inference_url(settings: Settings) -> str:
    """Return the address at which endpoints answer."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    scheme = "https" if settings.inference_tls_cert else "http"
    return f"{scheme}://{host}:{settings.inference_port_number}"


def inference_grpc_port(settings: Settings) -> int | None:
    """Return where inference is spoken by gRPC, None for nowhere; raises Invalid where its library is not there."""
    if settings.grpc_port and find_spec("grpc") is None:
        raise Invalid('Inference by gRPC needs grpcio: pip install "trimtab[grpc]".', field="grpc_port")
    return settings.grpc_port or None


def needs_sign_in(settings: Settings) -> bool:
    """Whether callers must show a token: always on any address that is not loopback."""
    return settings.sign_in == "always" or not is_loopback(settings.host)


def may_send_to_private(settings: Settings) -> bool:
    """Whether webhooks may go to this machine and to private networks; raises Invalid for an unknown setting."""
    match settings.private_webhooks:
        case "auto":
            return is_loopback(settings.host)
        case "allow" | "refuse":
            return settings.private_webhooks == "allow"
        case other:
            raise Invalid(
                f"private_webhooks is auto, allow or refuse, not {other!r}.", field="private_webhooks"
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
