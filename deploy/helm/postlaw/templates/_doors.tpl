{{/* What links in mail, forms and providers lead to: open for whoever comes. All else is the API, with its keys, and its reference. */}}
{{- define "postlaw.publicPaths" -}}
[/u/, /f/, /c/, /p/, /t/, /l/, /o/, /r/]
{{- end }}
