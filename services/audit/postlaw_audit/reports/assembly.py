"""Reports, wired by hand."""

from __future__ import annotations

from collections.abc import Callable

from postlaw_audit.reader import LogReader
from postlaw_audit.reports.asking import Asking
from postlaw_audit.reports.calls import ReportCalls
from postlaw_audit.reports.covering import Covering
from postlaw_audit.reports.customers import CUSTOMERS, DAY_US, GROUP, Customers
from postlaw_audit.reports.customers import TOPIC as IDENTITY
from postlaw_audit.reports.daily import Daily
from postlaw_audit.reports.documents import REPORTS, Reports
from postlaw_audit.reports.expiring import Expiring
from postlaw_audit.reports.gathering import Gathering
from postlaw_audit.reports.making import Making
from postlaw_audit.reports.printing import Printer
from postlaw_audit.reports.processors import PROCESSORS, SubProcessors
from postlaw_audit.reports.running import Running
from postlaw_audit.reports.wire import encode
from postlaw_audit.search.indexing import Indexer
from postlaw_audit.search.searching import Search
from postlaw_audit.signing import Signer
from postlaw_audit.witness_policy import Policy
from postlaw_common.consumers import Consumer
from postlaw_common.platform import Platform
from postlaw_common.service import Background

COLLECTIONS = (REPORTS, PROCESSORS, CUSTOMERS)


class Reporting:
    """`policy`: of the log's witnesses; `signer`: the log's; `chromium`: as Printer has it; `days`: a report's life."""

    def __init__(
        self,
        platform: Platform,
        reader: LogReader,
        indexer: Indexer,
        policy: Callable[[], Policy],
        signer: Signer,
        chromium: str,
        days: int,
        covering: Covering,
    ) -> None:
        store = platform.store("audit")
        reports = Reports(lambda: store.collection(REPORTS.name), platform.bus, encode)
        search = Search(reader, indexer)
        gathering = Gathering(search, indexer, reader, platform.blobs)
        making = Making(gathering, reader, platform.blobs, Printer(chromium), signer, platform.now_us)
        running = Running(reports, gathering, making, platform.now_us)
        asking = Asking(reports, reader, policy, platform.now_us, running.ready, gathering.forget_pages, covering, search)
        processors = SubProcessors(lambda: store.collection(PROCESSORS.name), platform.bus)
        customers = Customers(lambda: store.collection(CUSTOMERS.name), platform.now_us)
        daily = Daily(customers, asking, platform.now_us)
        expiring = Expiring(customers, reports, platform.blobs, days * DAY_US, platform.now_us)
        self.consumer = Consumer(GROUP, [IDENTITY], customers.hear)
        self.calls = ReportCalls(asking, reports, customers, processors, platform.blobs, days * DAY_US)
        self.backgrounds = (
            Background("audit reports", running.run),
            Background("audit daily reports", daily.run),
            Background("audit reports past their life", expiring.run),
            reports.outbox.background("audit reports' outbox"),
            processors.outbox.background("audit sub-processors' outbox"),
        )
