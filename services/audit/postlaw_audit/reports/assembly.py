"""Reports, wired by hand."""

from __future__ import annotations

from collections.abc import Callable

from postlaw_audit.reader import LogReader
from postlaw_audit.reports.asking import Asking
from postlaw_audit.reports.calls import ReportCalls
from postlaw_audit.reports.daily import CUSTOMERS, GROUP, Daily
from postlaw_audit.reports.daily import TOPIC as IDENTITY
from postlaw_audit.reports.documents import REPORTS, Reports
from postlaw_audit.reports.gathering import Gathering
from postlaw_audit.reports.making import Making
from postlaw_audit.reports.printing import Printer
from postlaw_audit.reports.processors import PROCESSORS, SubProcessors
from postlaw_audit.reports.running import Running
from postlaw_audit.reports.wire import encode
from postlaw_audit.search.indexing import Indexer
from postlaw_audit.search.searching import Search
from postlaw_audit.witness_policy import Policy
from postlaw_common.consumers import Consumer
from postlaw_common.platform import Platform
from postlaw_common.service import Background

COLLECTIONS = (REPORTS, PROCESSORS, CUSTOMERS)


class Reporting:
    """`policy`: of the log's witnesses; `sign`: a text's note by the log's key; `chromium`: as Printer has it."""

    def __init__(
        self,
        platform: Platform,
        reader: LogReader,
        indexer: Indexer,
        policy: Callable[[], Policy],
        sign: Callable[[str], str],
        chromium: str,
    ) -> None:
        store = platform.store("audit")
        reports = Reports(lambda: store.collection(REPORTS.name), platform.bus, encode)
        gathering = Gathering(Search(reader, indexer), indexer, reader, platform.blobs)
        making = Making(gathering, reader, platform.blobs, Printer(chromium), sign, platform.now_us)
        running = Running(reports, gathering, making, platform.now_us)
        asking = Asking(reports, reader, policy, platform.now_us, running.ready, gathering.forget_pages)
        processors = SubProcessors(lambda: store.collection(PROCESSORS.name), platform.bus)
        daily = Daily(lambda: store.collection(CUSTOMERS.name), asking, platform.now_us)
        self.consumer = Consumer(GROUP, [IDENTITY], daily.hear)
        self.calls = ReportCalls(asking, reports, processors, platform.blobs)
        self.backgrounds = (
            Background("audit reports", running.run),
            Background("audit daily reports", daily.run),
            reports.outbox.background("audit reports' outbox"),
            processors.outbox.background("audit sub-processors' outbox"),
        )
