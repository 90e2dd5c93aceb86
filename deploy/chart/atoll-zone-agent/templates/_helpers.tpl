{{/* Labels of every object. The name is fixed: one agent in a namespace, since its Role is the namespace's. */}}
{{- define "agent.labels" -}}
app.kubernetes.io/name: atoll-zone-agent
app.kubernetes.io/part-of: atoll
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
{{- define "agent.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{/* Of a cluster, not of a namespace: so the namespace is in the name. */}}
{{- define "agent.clusterName" -}}
atoll-zone-agent-{{ .Release.Namespace }}
{{- end -}}
