{{/* The name all objects begin with: the release's, with the chart's unless it is in there already. */}}
{{- define "douane.name" -}}
{{- if contains "douane" .Release.Name -}}
{{- .Release.Name | trunc 45 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-douane" (.Release.Name | trunc 38) -}}
{{- end -}}
{{- end -}}

{{/* The Secret with the administrator's password and the gateways' token. */}}
{{- define "douane.access" -}}
{{ .Values.analytics.access.existingSecret | default (printf "%s-access" (include "douane.name" .)) }}
{{- end -}}

{{/* What selects the pods of a part: dict "root" $ "part" "gateway". Never changed: selectors are immutable. */}}
{{- define "douane.selector" -}}
app.kubernetes.io/name: douane
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{/* The labels of an object of a part. */}}
{{- define "douane.labels" -}}
{{ include "douane.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{- define "douane.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "douane.name" .) }}
{{- end -}}

{{/* The security context of both pods: what the "restricted" Pod Security Standard asks for. The images run as 10001. */}}
{{- define "douane.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "douane.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
