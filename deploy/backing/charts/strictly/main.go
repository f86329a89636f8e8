// strictly reads manifests on standard input and decodes each custom resource into its maker's own Go type, refusing unknown fields:
// JSON schemas of custom resources come from a cluster, and these types are what those are generated from.
// It prints one JSON object of what it decoded, kind to number; exit code 1 names the document that is wrong. Kinds of Kubernetes itself are kubeconform's.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
	strict "sigs.k8s.io/yaml"
)

var kinds = map[string]func() any{
	"cert-manager.io/v1/Certificate":          func() any { return &certmanager.Certificate{} },
	"cert-manager.io/v1/Issuer":               func() any { return &certmanager.Issuer{} },
	"monitoring.coreos.com/v1/PrometheusRule": func() any { return &monitoring.PrometheusRule{} },
	"monitoring.coreos.com/v1/ServiceMonitor": func() any { return &monitoring.ServiceMonitor{} },
	"gateway.networking.k8s.io/v1/HTTPRoute":  func() any { return &gateway.HTTPRoute{} },
}

func main() {
	found := map[string]int{}
	documents := yaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		fail("standard input", err)
		var named struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			Metadata   struct {
				Name string `json:"name"`
			} `json:"metadata"`
		}
		fail("a document", strict.Unmarshal(document, &named))
		if made, known := kinds[named.APIVersion+"/"+named.Kind]; known {
			fail(named.Kind+" "+named.Metadata.Name, strict.UnmarshalStrict(document, made()))
			found[named.Kind]++
		}
	}
	fail("standard output", json.NewEncoder(os.Stdout).Encode(found))
}

func fail(where string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", where, err)
		os.Exit(1)
	}
}
