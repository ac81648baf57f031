{{- define "apono-sentinel.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 52: a StatefulSet adds a hash to it in a label that holds 63 characters. */}}
{{- define "apono-sentinel.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains (include "apono-sentinel.name" .) .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "apono-sentinel.name" .) | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "apono-sentinel.selectorLabels" -}}
app.kubernetes.io/name: {{ include "apono-sentinel.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "apono-sentinel.labels" -}}
{{ include "apono-sentinel.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "apono-sentinel.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "apono-sentinel.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed with serviceAccount.create: false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "apono-sentinel.image" -}}
{{- $repository := required "image.repository is needed: there is no public image, see docs/kubernetes.md" .Values.image.repository -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Everything that cannot be right, each with what to do. */}}
{{- define "apono-sentinel.validate" -}}
{{- $v := .Values -}}
{{- if and (eq $v.outbox.type "sqlite") (gt (int $v.replicas) 1) -}}
{{- fail (printf "replicas is %d, and outbox.type is sqlite: an SQLite outbox belongs to one process. Set replicas to 1, or outbox.type to postgres (docs/scaling.md)" (int $v.replicas)) -}}
{{- end -}}
{{- if and (eq $v.outbox.type "postgres") (not $v.secrets.outboxUrl.name) -}}
{{- fail "outbox.type is postgres: secrets.outboxUrl.name must name the secret with OUTBOX_URL" -}}
{{- end -}}
{{- if and (eq $v.outbox.type "sqlite") $v.secrets.outboxUrl.name -}}
{{- fail "secrets.outboxUrl.name is set, and outbox.type is sqlite: set outbox.type to postgres, or take the secret away" -}}
{{- end -}}
{{- if not $v.secrets.webhook.name -}}
{{- fail "secrets.webhook.name must name the secret with APONO_WEBHOOK_SECRET" -}}
{{- end -}}
{{- if not $v.trustProxy -}}
{{- fail "trustProxy is needed: the CIDR blocks from which the ingress controller connects, or how many proxies stand in front (TRUST_PROXY)" -}}
{{- end -}}
{{- range $name := list "LOGS_INGESTION_ENDPOINT" "DATA_COLLECTION_RULE_ID" -}}
{{- if not (index $v.config $name) -}}
{{- fail (printf "config.%s is needed" $name) -}}
{{- end -}}
{{- end -}}
{{- if ne $v.azure.signIn "managedIdentity" -}}
{{- if not (and $v.azure.tenantId $v.azure.clientId) -}}
{{- fail (printf "azure.signIn is %s: azure.tenantId and azure.clientId are needed" $v.azure.signIn) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $v.azure.signIn "managedIdentity") $v.azure.tenantId -}}
{{- fail "azure.signIn is managedIdentity, and azure.tenantId is set: a managed identity has no tenant to name, and the service would not start" -}}
{{- end -}}
{{- if and (eq $v.azure.signIn "clientSecret") (not $v.secrets.azureClientSecret.name) -}}
{{- fail "azure.signIn is clientSecret: secrets.azureClientSecret.name must name the secret with AZURE_CLIENT_SECRET" -}}
{{- end -}}
{{- if and (eq $v.azure.signIn "clientCertificate") (not $v.secrets.azureClientCertificate.name) -}}
{{- fail "azure.signIn is clientCertificate: secrets.azureClientCertificate.name must name the secret with the certificate" -}}
{{- end -}}
{{- if and $v.admin.enabled (not $v.secrets.adminToken.name) -}}
{{- fail "admin.enabled is true: secrets.adminToken.name must name the secret with ADMIN_TOKEN" -}}
{{- end -}}
{{- if and $v.admin.serviceMonitor.enabled (not $v.admin.enabled) -}}
{{- fail "admin.serviceMonitor.enabled needs admin.enabled: the admin port is on the pod's loopback otherwise" -}}
{{- end -}}
{{- if and $v.ingress.enabled (not $v.ingress.host) -}}
{{- fail "ingress.enabled is true: ingress.host is needed" -}}
{{- end -}}
{{- if $v.networkPolicy.enabled -}}
{{- if not $v.networkPolicy.ingressController -}}
{{- fail "networkPolicy.ingressController is empty, so nobody would reach the service: say where the ingress controller is, or set networkPolicy.enabled to false" -}}
{{- end -}}
{{- if and $v.admin.enabled (not $v.networkPolicy.prometheus) -}}
{{- fail "networkPolicy.prometheus is empty, so Prometheus would not reach the admin port: say where it is, or set networkPolicy.enabled to false" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The secrets that are used: what becomes a variable, a file under /secrets, and where it comes from. */}}
{{- define "apono-sentinel.secrets" -}}
{{- $v := .Values -}}
- variable: APONO_WEBHOOK_SECRET_FILE
  file: apono_webhook_secret
  secret: {{ toJson $v.secrets.webhook }}
{{- if $v.secrets.webhookPrevious.name }}
- variable: APONO_WEBHOOK_SECRET_PREVIOUS_FILE
  file: apono_webhook_secret_previous
  secret: {{ toJson $v.secrets.webhookPrevious }}
{{- end }}
{{- if eq $v.azure.signIn "clientSecret" }}
- variable: AZURE_CLIENT_SECRET_FILE
  file: azure_client_secret
  secret: {{ toJson $v.secrets.azureClientSecret }}
{{- end }}
{{- if eq $v.azure.signIn "clientCertificate" }}
- variable: AZURE_CLIENT_CERTIFICATE_PATH
  file: azure_client.pem
  secret: {{ toJson $v.secrets.azureClientCertificate }}
{{- if $v.secrets.azureClientCertificatePassword.name }}
- variable: AZURE_CLIENT_CERTIFICATE_PASSWORD_FILE
  file: azure_client_password
  secret: {{ toJson $v.secrets.azureClientCertificatePassword }}
{{- end }}
{{- end }}
{{- if eq $v.outbox.type "postgres" }}
- variable: OUTBOX_URL_FILE
  file: outbox_url
  secret: {{ toJson $v.secrets.outboxUrl }}
{{- end }}
{{- if $v.admin.enabled }}
- variable: ADMIN_TOKEN_FILE
  file: admin_token
  secret: {{ toJson $v.secrets.adminToken }}
{{- if $v.secrets.metricsToken.name }}
- variable: METRICS_TOKEN_FILE
  file: metrics_token
  secret: {{ toJson $v.secrets.metricsToken }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "apono-sentinel.env" -}}
{{- $v := .Values -}}
- { name: HOST, value: {{ quote $v.host }} }
- { name: PORT, value: "8080" }
- { name: ADMIN_HOST, value: {{ ternary $v.host "127.0.0.1" $v.admin.enabled | quote }} }
- { name: ADMIN_PORT, value: "9090" }
- { name: TRUST_PROXY, value: {{ quote $v.trustProxy }} }
- { name: SHUTDOWN_TIMEOUT_MS, value: {{ int64 $v.shutdownTimeoutMs | quote }} }
{{- if eq $v.outbox.type "sqlite" }}
- { name: DATA_DIR, value: /data }
{{- end }}
{{- with $v.azure.tenantId }}
- { name: AZURE_TENANT_ID, value: {{ quote . }} }
{{- end }}
{{- with $v.azure.clientId }}
- { name: AZURE_CLIENT_ID, value: {{ quote . }} }
{{- end }}
{{- range include "apono-sentinel.secrets" . | fromYamlArray }}
- { name: {{ .variable }}, value: /secrets/{{ .file }} }
{{- end }}
{{- range $name, $value := $v.config }}
{{- if $value }}
- { name: {{ $name }}, value: {{ quote $value }} }
{{- end }}
{{- end }}
{{- end -}}
