// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause

// Package status answers what a component itself counted, and takes its orders. On a unix socket:
// a TCP connection that asks would be one of those that are counted.
package status

import (
	"encoding/json"
	"log"
	"net"
	"net/http"
)

// Serve answers GET with counts as JSON; any other request is an order.
func Serve(path string, counts func() map[string]int64, order func(r *http.Request) error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			if err := order(r); err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
			}
			return
		}
		json.NewEncoder(w).Encode(counts())
	}))
}
