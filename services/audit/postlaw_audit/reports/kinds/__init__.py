"""What reports there are, a module each."""

from __future__ import annotations

from collections.abc import Mapping

from postlaw_audit.reports.kinds.access import ACCESS
from postlaw_audit.reports.kinds.activity import ACTIVITY, DAILY
from postlaw_audit.reports.kinds.api_keys import API_KEYS
from postlaw_audit.reports.kinds.consents import CONSENTS
from postlaw_audit.reports.kinds.kind import ReportKind
from postlaw_audit.reports.kinds.opt_outs import OPT_OUTS
from postlaw_audit.reports.kinds.sub_processors import SUB_PROCESSORS

_ALL = (ACTIVITY, ACCESS, API_KEYS, CONSENTS, OPT_OUTS, SUB_PROCESSORS, DAILY)
KINDS: Mapping[str, ReportKind] = {kind.name: kind for kind in _ALL}
