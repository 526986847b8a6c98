{{/* One pod of a role; (dict "root" "role" "own" "image" "grace"), the container's particulars come from "container". */}}
{{- define "maskrelay.pod" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "maskrelay.labels" (list $root .role) | nindent 4 }}
    {{- with $root.Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $root.Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  # Kubernetes would add MASKRELAY_* variables of its own for each Service, and an unknown setting is an error.
  enableServiceLinks: false
  serviceAccountName: {{ include "maskrelay.serviceAccount" $root }}
  # Nothing here speaks to Kubernetes; a workload identity's token comes by a volume of its own.
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: {{ .grace }}
  securityContext:
    {{- include "maskrelay.podSecurity" . | nindent 4 }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with $root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "maskrelay.selector" (list $root .role) | nindent 10 }}
  containers:
    - name: {{ .role }}
      image: {{ printf "%s%s:%s" $root.Values.image.registry .image ($root.Values.image.tag | default $root.Chart.AppVersion) }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      {{- .container | nindent 6 }}
      env:
        {{- include "maskrelay.environment" (list $root .role .own) | nindent 8 }}
      resources:
        {{- toYaml .own.resources | nindent 8 }}
      securityContext:
        {{- include "maskrelay.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: secrets, mountPath: /run/maskrelay, readOnly: true}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: {{ $root.Values.scratch | quote }}}
    - name: secrets
      secret:
        secretName: {{ $root.Values.secret.name }}
        defaultMode: 0440
        items:
          {{- range $path, $key := include "maskrelay.files" (list $root .role) | fromYaml }}
          - {key: {{ $key | quote }}, path: {{ $path }}}
          {{- end }}
{{- end }}

{{- define "maskrelay.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "maskrelay.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
