"""gRPC to use case, for links to people's own details and the language of their pages: a part of the servicer."""

from __future__ import annotations

from typing import Any, get_args

from postlaw.consent.v1 import consent_pb2 as pb
from postlaw_consent.domain.profile_link import LinkKind, LinkState
from postlaw_consent.use_cases.keep_language import KeepLanguage
from postlaw_consent.use_cases.profile_links import Corrections, Problem, Shown, UseProfileLink
from postlaw_consent.use_cases.request_profile_link import RequestProfileLink

_KINDS: dict[LinkKind, pb.ProfileLink.Kind.ValueType] = {
    kind: pb.ProfileLink.Kind.Value(f"KIND_{kind.upper()}") for kind in get_args(LinkKind)
}
_STATES: dict[LinkState, pb.ProfileLink.State.ValueType] = {
    state: pb.ProfileLink.State.Value(f"STATE_{state.upper()}") for state in get_args(LinkState)
}
_PROBLEMS: dict[Problem, pb.ProfileLink.Problem.ValueType] = {
    problem: pb.ProfileLink.Problem.Value(f"PROBLEM_{problem.upper() or 'UNSPECIFIED'}") for problem in get_args(Problem)
}


class ProfileCalls:
    def __init__(self, ask: RequestProfileLink, use: UseProfileLink, keep_language: KeepLanguage) -> None:
        self._ask = ask
        self._keep_language = keep_language
        self._use = use

    async def RequestProfileLink(self, request: pb.RequestProfileLinkRequest, context: Any) -> pb.ProfileLinkRequested:
        await self._ask(request.token, request.language)
        return pb.ProfileLinkRequested()

    async def DescribeProfileLink(self, request: pb.DescribeProfileLinkRequest, context: Any) -> pb.ProfileLink:
        return _link(await self._use.describe(request.token))

    async def UseProfileLink(self, request: pb.UseProfileLinkRequest, context: Any) -> pb.ProfileLink:
        details = {detail.name: detail.value for detail in request.details}
        return _link(await self._use(request.token, Corrections(details, request.address, request.if_version, request.language)))

    async def KeepLanguage(self, request: pb.KeepLanguageRequest, context: Any) -> pb.LanguageKept:
        kept = await self._keep_language(request.token, request.language)
        return pb.LanguageKept(tenant_id=kept.optout.tenant_id, address_key=kept.optout.address_key, kept=kept.kept, already=kept.already)


def _link(shown: Shown) -> pb.ProfileLink:
    link, profile = shown.link, shown.profile
    return pb.ProfileLink(
        kind=_KINDS[link.kind],
        state=_STATES[shown.state],
        tenant_id=link.tenant_id,
        address_key=link.address_key,
        address=profile.address if profile else link.address if shown.state == "open" else "",
        details=[pb.Detail(name=name, value=value) for name, value in profile.details.items()] if profile else (),
        version=profile.version if profile else 0,
        done=shown.done,
        address_asked=shown.address_asked,
        problem=_PROBLEMS[shown.problem],
        opt_out_token=shown.opt_out_token,
    )
