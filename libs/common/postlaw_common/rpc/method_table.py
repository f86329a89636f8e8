"""Who may call which method: read from the proto option `postlaw.options.v1.method`. No option: refused to everyone."""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf import descriptor_pool

from postlaw.options.v1 import options_pb2


@dataclass(frozen=True, slots=True)
class Policy:
    """`callers`: TLS names of services. `context`: a caller's context is required; `scopes`: all of them must be in it."""

    callers: frozenset[str] = frozenset()
    context: bool = False
    scopes: frozenset[str] = frozenset()
    idempotent: bool = False


NOBODY = Policy()
_tables: dict[str, dict[str, Policy]] = {}


def policies_of(service: str) -> dict[str, Policy]:
    """The policy of every method of a service, by method name. `service` is its full proto name; unknown: {}."""
    if service not in _tables:
        _tables[service] = _read(service)
    return _tables[service]


def policy_of(path: str) -> Policy:
    """The policy of a method by its path, `/postlaw.audit.v1.AuditService/GetCheckpoint`; NOBODY where there is none."""
    _, service, method = path.split("/")
    return policies_of(service).get(method, NOBODY)


def _read(service: str) -> dict[str, Policy]:
    try:
        descriptor = descriptor_pool.Default().FindServiceByName(service)
    except KeyError:
        return {}
    table: dict[str, Policy] = {}
    for method in descriptor.methods:
        options = method.GetOptions()
        if options.HasExtension(options_pb2.method):
            given = options.Extensions[options_pb2.method]
            # A scope is judged on a context, so a method that names scopes needs one whatever else it says.
            table[method.name] = Policy(
                callers=frozenset(given.callers),
                context=given.context or bool(given.scopes),
                scopes=frozenset(given.scopes),
                idempotent=given.idempotent,
            )
        else:
            table[method.name] = NOBODY
    return table
