{{- define "onnx-operator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "onnx-operator.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "onnx-operator.labels" -}}
{{ include "onnx-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: onnx-operator
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /*
The Deployments of the release, as a JSON array of {name, namespace, account}. One for all namespaces, which has no
namespace, or one for each of watchNamespaces. Long names end with a hash, so that two do not become one.
*/ -}}
{{- define "onnx-operator.instances" -}}
{{- $root := . -}}
{{- $full := include "onnx-operator.fullname" . -}}
{{- $instances := list -}}
{{- range $namespace := .Values.watchNamespaces | default (list "") -}}
{{- $name := $full -}}
{{- if $namespace -}}
{{- $name = printf "%s-%s" $full $namespace -}}
{{- if gt (len $name) 52 -}}
{{- $name = printf "%s-%s" (trunc 43 $name) (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- end -}}
{{- $account := default $name $root.Values.serviceAccount.name -}}
{{- $instances = append $instances (dict "name" $name "namespace" $namespace "account" $account) -}}
{{- end -}}
{{- toJson $instances -}}
{{- end -}}

{{- /* Reference of an image: repository with the digest, or else with the tag. */ -}}
{{- define "onnx-operator.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default (index . 1) $image.tag) -}}
{{- end -}}
{{- end -}}
