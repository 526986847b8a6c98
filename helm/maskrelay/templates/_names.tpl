{{/* What everything is called, and how it is found. */}}

{{- define "maskrelay.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* Labels by which the pods of a role are selected; (list root role). They never change. */}}
{{- define "maskrelay.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: maskrelay
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "maskrelay.labels" -}}
{{- $root := index . 0 -}}
{{ include "maskrelay.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end }}

{{- define "maskrelay.serviceAccount" -}}
{{- if .Values.serviceAccount.name -}}
{{ .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create -}}
{{ include "maskrelay.name" . }}
{{- else -}}
default
{{- end }}
{{- end }}

{{/* The paths that callers may reach from outside, with all paths below them; a path of the API that is not here stays
inside. */}}
{{- define "maskrelay.paths" -}}
- /assets
- /docs
- /v1/jobs
- /v1/uploads
- /v1/redrive
- /v1/endpoints
- /v1/events
- /v1/watches
- /v1/prompts
- /v1/sign-in
- /openapi.json
{{- end }}
