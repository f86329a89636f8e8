{{/* (rule: {to, ports}, protocols) → one egress rule; an empty `to` is any address at these ports. */}}
{{- define "postlaw.egress" -}}
{{- $protocols := default (list "TCP") .protocols -}}
- ports:
    {{- range $port := .rule.ports }}
    {{- range $protocols }}
    - { protocol: {{ . }}, port: {{ int $port }} }
    {{- end }}
    {{- end }}
  {{- with .rule.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
