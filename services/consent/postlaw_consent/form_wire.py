"""Forms' protobuf, and the event that tells of a change."""

from __future__ import annotations

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_consent.domain.form import Form
from postlaw_consent.wire import timestamp


def form_to_wire(form: Form, public_url: str) -> pb.Form:
    """`public_url`: of the installation, without a slash at its end."""
    return pb.Form(
        form_id=form.form_id,
        tenant_id=form.tenant_id,
        list_id=form.list_id,
        list_name=form.list_name,
        language=form.language,
        wording=form.wording,
        notice_hash=form.digest,
        purposes=form.purposes,
        single_opt_in=not form.double,
        sender=pb.FormSender(name=form.sender.name, address=form.sender.address, postal_address=form.sender.postal_address),
        territories=form.territories,
        without_ip=form.without_ip,
        url=f"{public_url}/f/{form.form_id}",
        created_at=timestamp(form.created_us),
        retired_at=timestamp(form.retired_us) if form.retired_us else None,
    )


def form_changed(before: Form | None, after: Form, version: int, public_url: str) -> bytes:
    """A FormChanged."""
    said = pb.FormChanged(tenant_id=after.tenant_id, form_id=after.form_id, after=form_to_wire(after, public_url), version=version)
    if before is not None:
        said.before.CopyFrom(form_to_wire(before, public_url))
        said.before.ClearField("wording")
    said.after.ClearField("wording")
    return said.SerializeToString()
