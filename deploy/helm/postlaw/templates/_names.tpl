{{- define "postlaw.name" -}}{{ default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}{{- end }}

{{/* Short enough for every suffix that follows it. */}}
{{- define "postlaw.fullname" -}}
{{- if .Values.fullnameOverride -}}{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "postlaw.name" .) .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}{{ printf "%s-%s" .Release.Name (include "postlaw.name" .) | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "postlaw.selector" -}}
app.kubernetes.io/name: {{ include "postlaw.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "postlaw.labels" -}}
{{ include "postlaw.selector" . }}
app.kubernetes.io/part-of: postlaw
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end }}

{{/* (root, key) → the image of a component; in an upgrade by stages those behind the stage keep the tag before. */}}
{{- define "postlaw.image" -}}
{{- $image := .root.Values.image -}}
{{- $upgrade := .root.Values.upgrade -}}
{{- $order := include "postlaw.order" .root | fromYamlArray -}}
{{- $place := dict -}}
{{- range $i, $key := $order -}}{{- $_ := set $place $key $i -}}{{- end -}}
{{- $behind := and $upgrade.previousTag (ne .key "operator") (gt (int (get $place .key)) (int (get $place $upgrade.through))) -}}
{{- if $behind -}}{{ $image.repository }}:{{ $upgrade.previousTag }}
{{- else if $image.digest -}}{{ $image.repository }}@{{ $image.digest }}
{{- else -}}{{ $image.repository }}:{{ default .root.Chart.AppVersion $image.tag }}
{{- end -}}
{{- end }}

{{/* (root, service) → the Secret of its certificate. */}}
{{- define "postlaw.certificate" -}}
{{- if eq .root.Values.certificates.mode "existing" -}}
{{- required (printf "certificates.existing.%s names no Secret; it needs ca.crt, tls.crt and tls.key for spiffe://postlaw/%s" .service .service) (get .root.Values.certificates.existing .service) -}}
{{- else -}}{{ include "postlaw.fullname" .root }}-{{ .service }}-certificate
{{- end -}}
{{- end }}

{{- define "postlaw.publicHost" -}}{{ (urlParse .Values.publicUrl).hostname }}{{- end }}

{{- define "postlaw.otlpEndpoint" -}}
{{- if .Values.observability.otlpEndpoint -}}{{ .Values.observability.otlpEndpoint }}
{{- else if .Values.observability.collector.enabled -}}http://{{ include "postlaw.fullname" . }}-collector:4317
{{- end -}}
{{- end }}
