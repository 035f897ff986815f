"""One frozen Settings, merged from defaults, a TOML file, the environment and flags; the only reader of both."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from trimtab.kernel.errors import Invalid, did_you_mean

ENVIRONMENT_PREFIX = "TRIMTAB_"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be configured. Each field is a flag, a ``TRIMTAB_*`` variable and a key of the file."""

    home: str = "~/.trimtab"
    host: str = "127.0.0.1"
    port: int = 5000
    inference_port: int = 0  # 0 means port + 1
    grpc_port: int = 0  # 0 means that gRPC is off
    inference_tls_cert: str = ""  # "" means plain HTTP
    inference_tls_key: str = ""  # "" means that it is in the file of the certificate
    inference_tls_client_ca: str = ""  # "" means that clients need no certificate
    replica_secret_file: str = ""  # "" means that no replica is on another host
    database: str = ""  # "" means SQLite in the home
    blobs: str = ""  # "" means a folder in the home
    executor: str = "local://"
    public_url: str = ""
    sign_in: str = "auto"  # auto: required unless the address is loopback; "always" everywhere
    allowed_hosts: str = ""  # more Host names, comma-separated
    log_level: str = "info"
    max_body_mb: int = 64
    workers: int = 2
    light_threads: int = 4
    replica_memory_mb: int = 0  # 0 means three quarters of the machine's
    retention_days: int = 90
    trash_days: int = 30
    compile_models: str = "always"  # what becomes of new versions; "never": only when asked for
    trusted_names: str = ""  # what model files may import beside the built-in list, comma-separated
    model_environments: str = "auto"  # who has environments made for models: auto, approve or never
    private_webhooks: str = "auto"  # auto: allowed while the server itself is on loopback; "allow"; "refuse"
    secret_key_file: str = ""  # "" means secret.key in the home
    signing_key_file: str = ""  # "" means signing.key in the home

    @property
    def home_path(self) -> Path:
        return Path(self.home).expanduser().absolute()

    @property
    def serving_folder(self) -> Path:
        """Where the data plane keeps its sockets, models and prediction log."""
        return self.home_path / "serving"

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.home_path / 'trimtab.db'}"

    @property
    def blobs_url(self) -> str:
        return self.blobs or f"file://{self.home_path / 'blobs'}"

    @property
    def secret_key_path(self) -> Path:
        return (
            Path(self.secret_key_file).expanduser() if self.secret_key_file else self.home_path / "secret.key"
        )

    @property
    def signing_key_path(self) -> Path:
        return (
            Path(self.signing_key_file).expanduser()
            if self.signing_key_file
            else self.home_path / "signing.key"
        )

    @property
    def inference_tls(self) -> tuple[Path, Path, Path | None] | None:
        """The files of certificate, key and clients' authority; raises Invalid naming the setting without its file."""
        keys = ("inference_tls_cert", "inference_tls_key", "inference_tls_client_ca")
        given = {
            key: Path(str(getattr(self, key))).expanduser().absolute() for key in keys if getattr(self, key)
        }
        if given and "inference_tls_cert" not in given:
            raise Invalid("TLS on the inference port needs --inference-tls-cert.", field="inference_tls_cert")
        for key, file in given.items():
            if not file.is_file():
                raise Invalid(f"There is no file {file}.", field=key)
        certificate = given.get("inference_tls_cert")
        if certificate is None:
            return None
        return certificate, given.get("inference_tls_key", certificate), given.get("inference_tls_client_ca")

    @property
    def replica_secret_path(self) -> Path | None:
        """Where the secret of replicas on other hosts is; raises Invalid where it is not."""
        if not self.replica_secret_file:
            return None
        file = Path(self.replica_secret_file).expanduser().absolute()
        if not file.is_file():
            raise Invalid(f"There is no file {file}.", field="replica_secret_file")
        return file

    @property
    def inference_port_number(self) -> int:
        return self.inference_port or self.port + 1


EXPLANATIONS: dict[str, str] = {
    "home": "Folder for the database, blobs, logs and the configuration file.",
    "host": "Address to listen on. Any address other than loopback requires sign-in.",
    "port": "Port of the web UI and of every management API.",
    "inference_port": "Port of the inference front; 0 takes the port after --port.",
    "grpc_port": "Port where the inference front speaks gRPC too, which needs trimtab[grpc]; 0 leaves it off.",
    "inference_tls_cert": "Certificate chain in PEM: the inference port speaks TLS, 1.2 at the least. It is read again"
    " when it changes.",
    "inference_tls_key": "Key of that certificate in PEM; empty means that it is in the same file.",
    "inference_tls_client_ca": "Authority in PEM: only clients with a certificate of it reach the inference port.",
    "replica_secret_file": "File that this server shares with replicas on other hosts; trimtab.serving.relay makes one.",
    "database": "sqlite:///FILE or postgresql://USER@HOST/NAME; empty means SQLite in the home.",
    "blobs": "file://FOLDER for content-addressed files; empty means a folder in the home.",
    "executor": "Where pipeline steps run: local:// for processes on this machine.",
    "public_url": "Address that links in notifications point to; empty means http://HOST:PORT.",
    "sign_in": "auto asks for a token unless the address is loopback; always asks everywhere.",
    "allowed_hosts": "Further Host header names to accept, separated by commas.",
    "log_level": "debug, info, warning or error.",
    "max_body_mb": "Largest request body for JSON routes in MiB; uploads stream and have no such limit.",
    "workers": "How many worker processes profile and judge at the same time, and how many pipelines run at once.",
    "light_threads": "How many threads deliver events and do other short background work.",
    "replica_memory_mb": "Memory in MiB over which a replica of a model is ended; 0 takes three quarters of the machine's.",
    "trusted_names": "More names that model files may import: package.module.Name or package.*, separated by commas.",
    "compile_models": "Whether new model versions are compiled: always, or never unless somebody asks for it.",
    "model_environments": "Whether models whose packages the server lacks get an environment of their own: auto, of wheels"
    " from uv's package index; approve, when an approver asks for it; never.",
    "private_webhooks": "Whether webhooks may go to private addresses: auto allows it while the server is on loopback;"
    " allow; refuse.",
    "secret_key_file": "File with the key that seals stored secrets; empty means secret.key in the home.",
    "signing_key_file": "File with the Ed25519 key that signs packages; empty means signing.key in the home.",
    "trash_days": "Days for which deleted things can be restored; 0 keeps them until someone purges them.",
    "retention_days": "Days for which events, finished jobs and raw prediction logs are kept.",
}


class Origin(msgspec.Struct, frozen=True):
    """Where the value of a setting came from."""

    key: str
    value: Any
    source: str
    default: Any
    explanation: str


def load(
    flags: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> tuple[Settings, dict[str, Origin]]:
    """Merge defaults < file < environment < flags; return the settings and the origin of each value.

    The file is ``TRIMTAB_CONFIG`` or ``config.toml`` in the home. Raises Invalid naming the key and where it
    was set when a key is unknown or a value has the wrong type.
    """
    env = os.environ if environment is None else environment
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    from_env = _from_environment(env)
    home = str(given.get("home") or from_env.get("home") or Settings().home)
    file = Path(env.get("TRIMTAB_CONFIG") or Path(home).expanduser() / "config.toml")
    from_file = _from_file(file)
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for source, layer in ((str(file), from_file), ("environment", from_env), ("flag", given)):
        for key, value in layer.items():
            if key not in Settings.__struct_fields__:
                hint = did_you_mean(key, Settings.__struct_fields__)
                raise Invalid(f"Unknown setting {key!r} in {source}.{hint}", field=key)
            values[key], sources[key] = value, source
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as error:
        key = str(error).partition("`$.")[2].partition("`")[0]
        raise Invalid(f"Setting {key!r} from {sources.get(key, 'defaults')}: {error}", field=key) from error
    defaults = Settings()
    origins = {
        key: Origin(
            key=key,
            value=getattr(settings, key),
            source=_name_source(key, sources.get(key)),
            default=getattr(defaults, key),
            explanation=EXPLANATIONS[key],
        )
        for key in Settings.__struct_fields__
    }
    return settings, origins


def _name_source(key: str, source: str | None) -> str:
    if source is None:
        return "default"
    if source == "environment":
        return f"environment variable {ENVIRONMENT_PREFIX}{key.upper()}"
    return f"flag --{key.replace('_', '-')}" if source == "flag" else f"file {source}"


def _from_environment(env: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key in Settings.__struct_fields__:
        value = env.get(ENVIRONMENT_PREFIX + key.upper())
        if value is not None:
            found[key] = value
    return found


def _from_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"{path} is not valid TOML: {error}") from error
