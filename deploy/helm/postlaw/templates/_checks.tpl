{{/* What no schema can say: values that only together are wrong. Each line says what to give. */}}
{{- define "postlaw.checks" -}}
{{- $_ := required "publicUrl is empty: give the https:// address that links in mail and opt-outs lead to" .Values.publicUrl -}}
{{- $_ := required "bus.url is empty: give kafka://host:port,…" .Values.bus.url -}}
{{- $_ := required "store.existingSecret is empty: name the Secret that holds MongoDB's address" .Values.store.existingSecret -}}
{{- $_ := required "blobs.url is empty: give s3://bucket?region=…" .Values.blobs.url -}}
{{- $_ := required "keys.url is empty: give awskms:KEY?region=…" .Values.keys.url -}}
{{- range list "sending" "sendingPlanner" "sendingWorker" "returns" -}}
{{- $settings := merge (dict) (default dict (get $.Values.services .).settings) $.Values.settings -}}
{{- if and (ne (toString $settings.POSTLAW_SENDING_DELIVERY) "mx") (not $settings.POSTLAW_SENDING_RELAY_HOST) -}}
{{- fail "settings.POSTLAW_SENDING_RELAY_HOST is missing: give the server that takes our mail, or POSTLAW_SENDING_DELIVERY: mx" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.gatewayFrom) -}}
{{- fail "networkPolicy.gatewayFrom is empty, so that nobody would reach the gateway: give the ingress controller's namespace, [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAME}}}], or a load balancer's network" -}}
{{- end -}}
{{- range $key := list "sendingWorker" "gateway" -}}
{{- $service := get $.Values.services $key -}}
{{- if and $service.autoscaling.enabled (gt (int $service.autoscaling.minReplicas) (int $service.autoscaling.maxReplicas)) -}}
{{- fail (printf "services.%s.autoscaling: minReplicas is more than maxReplicas" $key) -}}
{{- end -}}
{{- end -}}
{{- $workers := .Values.services.sendingWorker -}}
{{- $most := ternary (int $workers.autoscaling.maxReplicas) (int $workers.replicas) $workers.autoscaling.enabled -}}
{{- if gt $most (int .Values.partitions) -}}
{{- fail (printf "services.sendingWorker: %d workers for %d partitions; those beyond would hold none" $most (int .Values.partitions)) -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parents) -}}
{{- fail "httpRoute.parents is empty: name the Gateway, [{name: …, namespace: …}]" -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- if hasPrefix "POSTLAW_" .name -}}
{{- fail (printf "extraEnv: %s is a setting of Postlaw's; give it under settings" .name) -}}
{{- end -}}
{{- end -}}
{{- end }}
