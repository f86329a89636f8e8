{{/*
The mesh as data, YAML: a component is a Deployment. `service` names its certificate and what `postlaw run` starts, `callers` whose
certificate may call it (as the contracts' method tables say; a test holds one against the other), `uses` where it connects to.
They stand in the order of an upgrade: readers before writers.
*/}}
{{- define "postlaw.components" -}}
identity:
  name: identity
  service: identity
  callers: [subscribers, consent, sending, audit, gateway, operator]
  uses: [bus, store, blobs, keys, telemetry]
sendingWorker:
  name: sending-worker
  service: sending
  role: worker
  uses: [bus, store, blobs, keys, telemetry, relay]
returns:
  name: returns
  service: sending
  role: returns
  uses: [bus, store, blobs, keys, telemetry]
sendingPlanner:
  name: sending-planner
  service: sending
  role: planner
  uses: [bus, store, blobs, keys, telemetry]
sending:
  name: sending
  service: sending
  role: api
  callers: [consent, gateway, operator]
  uses: [bus, store, blobs, keys, telemetry, web]
audit:
  name: audit
  service: audit
  callers: [consent, gateway, operator]
  uses: [bus, store, blobs, keys, telemetry, web]
consent:
  name: consent
  service: consent
  callers: [subscribers, sending, audit, gateway, operator]
  uses: [bus, store, blobs, keys, telemetry]
subscribers:
  name: subscribers
  service: subscribers
  callers: [consent, sending, audit, gateway, operator]
  uses: [bus, store, blobs, keys, telemetry]
gateway:
  name: gateway
  service: gateway
  uses: [bus, store, blobs, keys, telemetry]
operator:
  name: operator
  service: operator
  uses: [bus, store, blobs, keys]
{{- end }}

{{/* Their keys in that order: a YAML map has none once it is read. */}}
{{- define "postlaw.order" -}}
[identity, sendingWorker, returns, sendingPlanner, sending, audit, consent, subscribers, gateway, operator]
{{- end }}

{{/* Those that this release has, one key after the other. */}}
{{- define "postlaw.present" -}}
{{- $present := list -}}
{{- range include "postlaw.order" . | fromYamlArray -}}
{{- if or (ne . "returns") $.Values.returns.enabled -}}{{- $present = append $present . -}}{{- end -}}
{{- end -}}
{{- toYaml $present -}}
{{- end }}

{{/* (root, component) → whether it calls services, and which, by their certificates' names. */}}
{{- define "postlaw.callees" -}}
{{- $callees := list -}}
{{- range $key, $callee := include "postlaw.components" .root | fromYaml -}}
{{- if has $.component.service (default list $callee.callers) -}}{{- $callees = append $callees $callee.name -}}{{- end -}}
{{- end -}}
{{- toYaml $callees -}}
{{- end }}
