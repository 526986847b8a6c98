{{/* What a process is told; wrong values end here, with a word that helps. */}}

{{/* The settings of a process as a map: everybody's, and its own over them; (list root own). */}}
{{- define "maskrelay.settings" -}}
{{- $root := index . 0 -}}
{{- $settings := merge (dict) (index . 1).settings $root.Values.settings -}}
{{- $known := splitList "\n" ($root.Files.Get "settings.txt" | trim) -}}
{{- range $name, $_ := $settings -}}
{{- if not (has $name $known) -}}
{{- fail (printf "\n\n%s is not a setting that the chart can pass on. docs/reference/settings.md lists them; what is secret comes from the Secret (secret.keys).\n" $name) -}}
{{- end -}}
{{- end -}}
{{- toYaml $settings -}}
{{- end }}

{{/* The keys of the Secret that a role needs, as a map from a file's name to the key; (list root role). */}}
{{- define "maskrelay.files" -}}
{{- $keys := (index . 0).Values.secret.keys -}}
{{- $files := dict "redis-url" $keys.redisUrl "server-key" $keys.serverKey "server-key-before" $keys.serverKeyBefore "redis-ca.crt" $keys.redisCa "aws-credentials" $keys.awsCredentials "azure-connection" $keys.azureConnection "ca.crt" $keys.ca "redis-client.crt" $keys.redisCert "redis-client.key" $keys.redisCertKey -}}
{{- if has (index . 1) (list "api" "control") -}}
{{- $_ := set $files "keys.json" $keys.apiKeys -}}
{{- end -}}
{{- if eq (index . 1) "api" -}}
{{- $_ := set $files "metrics-key" $keys.metricsKey -}}
{{- else -}}
{{- $_ := set $files "tables.json" $keys.tables -}}
{{- end -}}
{{- if eq (index . 1) "control" -}}
{{- $_ := set $files "site-identifiers.json" $keys.siteIdentifiers -}}
{{- end -}}
{{- $_ := set $files "credentials.json" $keys.credentials -}}
{{- if has (index . 1) (list "api" "deliver") -}}
{{- $_ := set $files "callback-proxy" $keys.callbackProxy -}}
{{- end -}}
{{- if eq (index . 1) "deliver" -}}
{{- $_ := set $files "callback-client.crt" $keys.callbackCert -}}
{{- $_ := set $files "callback-client.key" $keys.callbackCertKey -}}
{{- end -}}
{{- if eq (index . 1) "segment" -}}
{{- $_ := set $files "endpoint-proxy" $keys.endpointProxy -}}
{{- $_ := set $files "endpoint-client.crt" $keys.endpointCert -}}
{{- $_ := set $files "endpoint-client.key" $keys.endpointCertKey -}}
{{- $_ := set $files "endpoints.json" $keys.endpoints -}}
{{- if not $keys.endpoints -}}
{{- $_ := set $files "endpoint-key" $keys.endpointKey -}}
{{- end -}}
{{- end -}}
{{- range $name, $key := $files -}}
{{- if not $key -}}
{{- $_ := unset $files $name -}}
{{- end -}}
{{- end -}}
{{- toYaml $files -}}
{{- end }}

{{/* How callers reach the API where the settings do not say: by its Ingress, or by its Service in the cluster. */}}
{{- define "maskrelay.publicUrl" -}}
{{- if .Values.ingress.enabled -}}
{{- printf "https://%s" .Values.ingress.host -}}
{{- else if and .Values.gateway.enabled .Values.gateway.hostnames -}}
{{- printf "https://%s" (first .Values.gateway.hostnames) -}}
{{- else -}}
{{- printf "http://%s.%s:%v" (include "maskrelay.name" .) .Release.Namespace .Values.service.port -}}
{{- end -}}
{{- end }}

{{/* The environment of a role's container; (list root role own). */}}
{{- define "maskrelay.environment" -}}
{{- $root := index . 0 -}}
{{- $role := index . 1 -}}
{{- $environment := include "maskrelay.settings" (list $root (index . 2)) | fromYaml -}}
{{- range $name, $value := $root.Values.environment -}}
{{- if hasPrefix "MASKRELAY_" $name -}}
{{- fail (printf "\n\n%s belongs into settings, not into environment.\n" $name) -}}
{{- end -}}
{{- $_ := set $environment $name $value -}}
{{- end -}}
{{- if and (eq $role "api") (not (hasKey $environment "MASKRELAY_PUBLIC_URL")) -}}
{{- $_ := set $environment "MASKRELAY_PUBLIC_URL" (include "maskrelay.publicUrl" $root) -}}
{{- end -}}
{{- $files := include "maskrelay.files" (list $root $role) | fromYaml -}}
{{- $named := dict "redis-url" "MASKRELAY_REDIS_URL_FILE" "server-key" "MASKRELAY_SERVER_KEY_FILE" "server-key-before" "MASKRELAY_SERVER_KEY_BEFORE_FILE" "keys.json" "MASKRELAY_KEYS_FILE" "endpoint-key" "MASKRELAY_ENDPOINT_KEY_FILE" "endpoints.json" "MASKRELAY_ENDPOINTS_FILE" "credentials.json" "MASKRELAY_CREDENTIALS_FILE" "tables.json" "MASKRELAY_TABLES_FILE" "site-identifiers.json" "MASKRELAY_SITE_IDENTIFIERS_FILE" "aws-credentials" "AWS_SHARED_CREDENTIALS_FILE" "azure-connection" "MASKRELAY_AZURE_CONNECTION_STRING_FILE" "ca.crt" "MASKRELAY_CA_FILE" "endpoint-proxy" "MASKRELAY_ENDPOINT_PROXY_FILE" "callback-proxy" "MASKRELAY_CALLBACK_PROXY_FILE" "metrics-key" "MASKRELAY_METRICS_KEY_FILE" "redis-client.crt" "MASKRELAY_REDIS_CERT_FILE" "redis-client.key" "MASKRELAY_REDIS_CERT_KEY_FILE" "endpoint-client.crt" "MASKRELAY_ENDPOINT_CERT_FILE" "endpoint-client.key" "MASKRELAY_ENDPOINT_CERT_KEY_FILE" "callback-client.crt" "MASKRELAY_CALLBACK_CERT_FILE" "callback-client.key" "MASKRELAY_CALLBACK_CERT_KEY_FILE" -}}
{{- range $file, $name := $named -}}
{{- if hasKey $files $file -}}
{{- $_ := set $environment $name (printf "/run/maskrelay/%s" $file) -}}
{{- end -}}
{{- end -}}
{{- if $root.Values.secret.keys.endpoints -}}
{{- $_ := unset $environment "MASKRELAY_ENDPOINT_URL" -}}
{{- end -}}
{{- if ne $role "api" -}}
{{- $_ := set $environment "MASKRELAY_HEARTBEAT_FILE" "/tmp/heartbeat" -}}
{{- end -}}
{{- range $name, $value := $environment }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Seconds from SIGTERM to SIGKILL: for a worker what its settings count on. */}}
{{- define "maskrelay.grace" -}}
{{- $settings := include "maskrelay.settings" (list (index . 0) (index . 1)) | fromYaml -}}
{{- $settings.MASKRELAY_TERMINATION_GRACE_S | default "180" | float64 | ceil -}}
{{- end }}

{{/* How many segment workers there may be: enough to have twice in hand what the endpoint takes at once. */}}
{{- define "maskrelay.most" -}}
{{- if .Values.autoscaling.maxReplicas -}}
{{- .Values.autoscaling.maxReplicas -}}
{{- else if .Values.secret.keys.endpoints -}}
{{- fail "\n\nautoscaling.maxReplicas must be given where several endpoints are (secret.keys.endpoints): the chart cannot see their limits.\n" -}}
{{- else -}}
{{- $settings := include "maskrelay.settings" (list . .Values.workers.segment) | fromYaml -}}
{{- $inHand := mulf ($settings.MASKRELAY_HANDS | default "8" | float64) ($settings.MASKRELAY_SEGMENT_CHILDREN | default "1" | float64) -}}
{{- $inFlight := $settings.MASKRELAY_ENDPOINT_MAX_IN_FLIGHT | default "2" | float64 -}}
{{- max 1 .Values.autoscaling.minReplicas (divf (mulf 2 $inFlight) $inHand | ceil | int) -}}
{{- end -}}
{{- end }}
