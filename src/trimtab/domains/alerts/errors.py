"""What can go wrong with alerts, rules and channels."""

from trimtab.kernel.errors import Conflict, NotFound


class AlertNotFound(NotFound):
    code = "alert-not-found"


class AlertNotActive(Conflict):
    code = "alert-not-active"


class RuleNotFound(NotFound):
    code = "rule-not-found"


class RuleExists(Conflict):
    code = "rule-exists"


class RuleBuiltIn(Conflict):
    code = "rule-built-in"


class ChannelNotFound(NotFound):
    code = "channel-not-found"


class ChannelExists(Conflict):
    code = "channel-exists"


class ChannelInUse(Conflict):
    code = "channel-in-use"
