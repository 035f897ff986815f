"""Which registered versions may be loaded here at all: the same rule wherever a model's process is started."""

from trimtab.domains.govern import GovernService
from trimtab.domains.registry.model import ModelVersion
from trimtab.kernel.errors import Forbidden, Invalid
from trimtab.kernel.who import Principal


def check_loadable(
    govern: GovernService, who: Principal, found: ModelVersion, *, allow_pickle: bool, reason: str
) -> bool:
    """Return whether the scan's suspicion is overridden by this; raises Forbidden or Invalid where it may not be loaded.

    An unsafe format needs ``allow_pickle`` and an approver; files that the scan found suspicious a reason besides.
    """
    suspicious = found.verdict == "suspicious"
    if suspicious and not (allow_pickle and reason.strip()):
        named = ", ".join(found.strangers[:5]) or "code that no rule allows"
        raise Forbidden(
            f"Loading {found.name} version {found.version} would run {named}. If that is meant, an approver deploys it"
            " with allow_pickle and a reason.",
            field="reason",
        )
    if not found.safe and not allow_pickle:
        raise Forbidden(
            f"{found.name} version {found.version} is stored as {found.format}, which runs code when it is"
            " loaded. Log it in a safe format, or deploy it with allow_pickle if you trust its author.",
            field="allow_pickle",
        )
    if found.format == "external":
        raise Invalid(
            f"The files of {found.name} version {found.version} are not kept by this server.",
            field="model",
        )
    if suspicious or not found.safe:
        govern.permit(who, "approve", f"a model in the format {found.format}")
    return suspicious
