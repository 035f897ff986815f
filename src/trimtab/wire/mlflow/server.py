"""What the MLflow API says of the server itself."""

import msgspec

from trimtab.infra.http import Request
from trimtab.wire.mlflow.binding import Handler, handler
from trimtab.wire.mlflow.messages import Empty


class ServerInfo(msgspec.Struct):
    """What clients ask before they choose a way; anyone may know it."""

    store_type: str = "SqlStore"
    workspaces_enabled: bool = False
    trace_archival_enabled: bool = False
    multipart_uploads_enabled: bool = True
    multipart_downloads_enabled: bool = False  # its client reads one stream much faster than many ranges
    presigned_upload_run_id_supported: bool = True
    presigned_upload_model_id_supported: bool = True
    features_enabled: dict[str, bool] = msgspec.field(default_factory=lambda: {"gateway": False})


def handlers() -> list[Handler]:
    @handler("GET", "/mlflow/server-info", Empty, version="3.0")
    def server_info(_: Request, __: Empty) -> ServerInfo:
        return ServerInfo()

    return [server_info]
