"""Wires the service by hand; opens nothing."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from postlaw.consent.v1.consent_pb2_grpc import ConsentServiceStub
from postlaw.subscribers.v1 import subscribers_pb2_grpc
from postlaw_common.bus import Topic
from postlaw_common.caller import Actor, Caller
from postlaw_common.keys.customer import CUSTOMER_KEYS, CustomerKeys
from postlaw_common.outbox import Outbox
from postlaw_common.platform import Platform
from postlaw_common.service import Background, Service, Servicer
from postlaw_common.service_context import ServiceContexts
from postlaw_subscribers.clients import SCOPES, StoppedAsListed, StoppedEverywhere, ledger_for, suppressions_for
from postlaw_subscribers.consumers import settling
from postlaw_subscribers.digests import DIGESTS, Digests
from postlaw_subscribers.domain.import_job import ImportJob
from postlaw_subscribers.everywhere import EVERYWHERE, Everywhere
from postlaw_subscribers.jobs import IMPORTS, ROW_MARKS, Jobs
from postlaw_subscribers.lists import LISTS, Lists
from postlaw_subscribers.members import MEMBERS, Members
from postlaw_subscribers.people import DATABASE, MOVED, PEOPLE, People
from postlaw_subscribers.person_keys import KEY_DATABASE, PERSON_KEYS, PersonKeys
from postlaw_subscribers.rooms import TOPIC, Rooms, SuppressionLedger
from postlaw_subscribers.servicer import SubscribersServicer
from postlaw_subscribers.settings import SubscribersSettings
from postlaw_subscribers.uploads import Uploads
from postlaw_subscribers.use_cases.run_import import ImportRunner
from postlaw_subscribers.wire import SubscriberEvents, audience_member


def build(platform: Platform, settings: SubscribersSettings) -> Service:
    store, key_store = platform.store(DATABASE), platform.store(KEY_DATABASE)
    customer_keys = CustomerKeys(key_store, platform.root_key)
    contexts = ServiceContexts(platform.channel("identity"), "subscribers")
    consent = platform.channel("consent")

    def acting(job: ImportJob) -> AbstractAsyncContextManager[Caller]:
        kind, _, id = job.created_by.partition(":")
        return contexts.acting(job.tenant_id, Actor(kind, id), SCOPES, f"import {job.import_id}")

    def suppressions(job: ImportJob) -> SuppressionLedger:
        return suppressions_for(consent, job)

    jobs, person_keys = Jobs(store, customer_keys), PersonKeys(key_store, customer_keys)
    rooms = Rooms(
        people=People(store),
        members=Members(key_store, audience_member, platform.placement),
        lists=Lists(store),
        jobs=jobs,
        uploads=Uploads(platform.blobs),
        person_keys=person_keys,
        customer_keys=customer_keys,
        digests=Digests(store),
        stop_listed=StoppedAsListed(jobs, person_keys, acting, suppressions),
        everywhere=Everywhere(store, platform.platform_keys),
        platform_stop=StoppedEverywhere(ConsentServiceStub(consent), contexts),
        outbox=Outbox(
            platform.bus,
            lambda: [store.collection(spec.name) for spec in (PEOPLE, LISTS, IMPORTS)],
            sweep_after_s=settings.outbox_sweep_s,
        ),
        events=SubscriberEvents(platform.placement),
        placement=platform.placement,
        now_us=platform.now_us,
    )
    runner = ImportRunner(
        rooms,
        acting,
        lambda job: ledger_for(consent, job),
        suppressions,
        at_once=settings.imports_at_once,
        lease_s=settings.import_lease_s,
    )
    servicer = SubscribersServicer(rooms, runner.wake, upload_max_bytes=settings.upload_max_bytes)
    return Service(
        name="subscribers",
        databases={
            DATABASE: (PEOPLE, MOVED, LISTS, IMPORTS, ROW_MARKS, DIGESTS, EVERYWHERE),
            KEY_DATABASE: (PERSON_KEYS, MEMBERS, CUSTOMER_KEYS),
        },
        topics=(Topic(TOPIC),),
        servicers=(
            Servicer("postlaw.subscribers.v1.SubscribersService", subscribers_pb2_grpc.add_SubscribersServiceServicer_to_server, servicer),
        ),
        consumers=(settling(rooms),),
        backgrounds=(Background("imports", runner.run), rooms.outbox.background()),
    )
