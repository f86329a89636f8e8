{{/* What no container of this chart does without: Kubernetes' own "restricted" standard, on a read-only root. */}}
{{- define "postlaw.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- define "postlaw.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end }}

{{/* A number of YAML arrives as a float: none may become 4.294967296e+09. */}}
{{- define "postlaw.text" -}}
{{- if kindIs "float64" . -}}{{- if eq . (floor .) -}}{{ printf "%.0f" . }}{{- else -}}{{ printf "%v" . }}{{- end -}}
{{- else -}}{{ toString . }}
{{- end -}}
{{- end }}

{{/* (root, component, key) → the environment, in the order of docker-compose.yml. */}}
{{- define "postlaw.environment" -}}
{{- $root := .root -}}{{- $values := .root.Values -}}{{- $component := .component -}}{{- $full := include "postlaw.fullname" .root -}}
{{- with $values.bus.existingSecret }}
- { name: POSTLAW_KAFKA_USERNAME, valueFrom: { secretKeyRef: { name: {{ . }}, key: {{ $values.bus.usernameKey }} } } }
- { name: POSTLAW_KAFKA_PASSWORD, valueFrom: { secretKeyRef: { name: {{ . }}, key: {{ $values.bus.passwordKey }} } } }
{{- end }}
{{- with $values.blobs.existingSecret }}
- { name: AWS_ACCESS_KEY_ID, valueFrom: { secretKeyRef: { name: {{ . }}, key: {{ $values.blobs.accessKeyIdKey }} } } }
- { name: AWS_SECRET_ACCESS_KEY, valueFrom: { secretKeyRef: { name: {{ . }}, key: {{ $values.blobs.secretAccessKeyKey }} } } }
{{- end }}
- { name: POSTLAW_BUS, value: {{ $values.bus.url | quote }} }
- { name: POSTLAW_STORE, valueFrom: { secretKeyRef: { name: {{ $values.store.existingSecret }}, key: {{ $values.store.urlKey }} } } }
- { name: POSTLAW_BLOBS, value: {{ $values.blobs.url | quote }} }
- { name: POSTLAW_KEYS, value: {{ $values.keys.url | quote }} }
- { name: POSTLAW_STATE, value: /var/lib/postlaw }
- { name: POSTLAW_PARTITIONS, value: {{ include "postlaw.text" $values.partitions | quote }} }
- { name: POSTLAW_PUBLIC_URL, value: {{ $values.publicUrl | quote }} }
- { name: POSTLAW_LISTEN, value: 0.0.0.0 }
- { name: POSTLAW_HEALTH_PORT, value: "9000" }
- { name: POSTLAW_TLS_CA, value: /certificates/ca.crt }
- { name: POSTLAW_TLS_CERTIFICATE, value: /certificates/tls.crt }
- { name: POSTLAW_TLS_KEY, value: /certificates/tls.key }
- { name: POSTLAW_UNREADY_S, value: {{ include "postlaw.text" (get $values.services .key).unreadySeconds | quote }} }
- { name: POSTLAW_DRAIN_S, value: {{ include "postlaw.text" $values.drainSeconds | quote }} }
{{- with include "postlaw.otlpEndpoint" $root }}
- { name: POSTLAW_OTLP_ENDPOINT, value: {{ . | quote }} }
{{- end }}
{{- range $callee := include "postlaw.components" $root | fromYaml }}
{{- if $callee.callers }}
{{- /* The name leads to every ready pod (headless), and round_robin spreads calls over them. */}}
- { name: POSTLAW_PEER_{{ upper $callee.service }}, value: "dns:///{{ $full }}-{{ $callee.name }}:9443" }
{{- end }}
{{- end }}
{{- if $component.callers }}
- { name: POSTLAW_GRPC_PORT_{{ upper $component.service }}, value: "9443" }
{{- end }}
{{- if eq $component.service "gateway" }}
- { name: POSTLAW_HTTP_PORT_GATEWAY, value: "8080" }
{{- end }}
{{- if $component.role }}
- { name: POSTLAW_SENDING_ROLE, value: {{ $component.role }} }
{{- end }}
{{- if and (eq $component.service "sending") $values.returns.enabled }}
- { name: POSTLAW_SENDING_RETURN_HOST, value: {{ required "returns.host is empty: name the host that returned mail is sent to, whose MX leads here" $values.returns.host | quote }} }
{{- if eq (toString $component.role) "returns" }}
- { name: POSTLAW_SENDING_INBOUND, value: "0.0.0.0:2525" }
{{- if $values.returns.tlsSecret }}
- { name: POSTLAW_SENDING_INBOUND_CERTIFICATE, value: /starttls/tls.crt }
- { name: POSTLAW_SENDING_INBOUND_KEY, value: /starttls/tls.key }
{{- end }}
{{- end }}
{{- end }}
{{- $settings := merge (dict) (default dict (get $values.services .key).settings) $values.settings }}
{{- range $name, $value := $settings }}
{{- if include "postlaw.reads" (dict "name" $name "service" $component.service) }}
- { name: {{ $name }}, value: {{ include "postlaw.text" $value | quote }} }
{{- end }}
{{- end }}
{{- range $name, $from := $values.secretSettings }}
{{- if include "postlaw.reads" (dict "name" $name "service" $component.service) }}
- { name: {{ $name }}, valueFrom: { secretKeyRef: { name: {{ $from.secret }}, key: {{ $from.key }} } } }
{{- end }}
{{- end }}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* (name, service) → "yes" where a service reads that setting: its own, and those of all. The operator's commands may read any. */}}
{{- define "postlaw.reads" -}}
{{- $name := .name -}}{{- $of := "" -}}
{{- range list "identity" "subscribers" "consent" "sending" "audit" "gateway" -}}
{{- if hasPrefix (printf "POSTLAW_%s_" (upper .)) $name -}}{{- $of = . -}}{{- end -}}
{{- end -}}
{{- if eq .service "operator" -}}yes
{{- else if hasPrefix "POSTLAW_RECONCILE_" $name -}}{{- if has .service (list "audit" "consent" "sending") -}}yes{{- end -}}
{{- else if or (not $of) (eq $of .service) -}}yes
{{- end -}}
{{- end }}

{{/* (root, service) → volumes: what may be written, the certificate, and what `mounts` names. */}}
{{- define "postlaw.volumes" -}}
- { name: state, emptyDir: { sizeLimit: 256Mi } }
- { name: tmp, emptyDir: { sizeLimit: 64Mi } }
- { name: certificate, secret: { secretName: {{ include "postlaw.certificate" . }}, defaultMode: 288 } }
{{- range .root.Values.mounts }}
{{- if .secret }}
- { name: {{ .name }}, secret: { secretName: {{ .secret }}, defaultMode: 288 } }
{{- else }}
- { name: {{ .name }}, configMap: { name: {{ .configMap }} } }
{{- end }}
{{- end }}
{{- end }}

{{- define "postlaw.volumeMounts" -}}
- { name: state, mountPath: /var/lib/postlaw }
- { name: tmp, mountPath: /tmp }
- { name: certificate, mountPath: /certificates, readOnly: true }
{{- range .Values.mounts }}
- { name: {{ .name }}, mountPath: {{ .path }}, readOnly: true }
{{- end }}
{{- end }}
