package control

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
)

// maxRequest bounds a request's body, in bytes.
const maxRequest = 1 << 20

// Handler serves an appliance's commands.
func Handler(a Appliance) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		status, err := a.Status(r.Context())
		answer(w, status, err)
	})
	mux.HandleFunc("GET /records", func(w http.ResponseWriter, r *http.Request) {
		records, err := a.Records(r.Context(), r.URL.Query().Has("all"))
		answer(w, records, err)
	})
	mux.HandleFunc("POST /verify", posted(a.Verify))
	mux.HandleFunc("POST /patient", posted(a.Patient))
	mux.HandleFunc("POST /refile", posted(a.Refile))
	handleTrays(mux, a)
	mux.HandleFunc("GET /documents/{id}", func(w http.ResponseWriter, r *http.Request) {
		content, err := a.Get(r.Context(), r.PathValue("id"))
		if err != nil {
			answer(w, nil, err)
			return
		}
		defer content.Close()
		if _, err := io.Copy(w, content); err != nil {
			// The client must not take what it has for the whole: break the connection.
			panic(http.ErrAbortHandler)
		}
	})
	return mux
}

// posted serves a call whose request is the body.
func posted[Q, A any](call func(context.Context, Q) (A, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request Q
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&request); err != nil {
			answer(w, nil, errors.Join(ErrBadRequest, err))
			return
		}
		value, err := call(r.Context(), request)
		answer(w, value, err)
	}
}

func answer(w http.ResponseWriter, value any, err error) {
	status := http.StatusOK
	body, encodeErr := json.Marshal(value)
	if err := errors.Join(err, encodeErr); err != nil {
		status = statusOf(err)
		body, _ = json.Marshal(failure{err.Error()}) // a string always encodes
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that is gone hears nothing
}

// failure is the body of an answer that is an error.
type failure struct {
	Error string `json:"error"`
}

// sentinels are the errors that keep their meaning across the socket, by HTTP status.
func sentinels() map[int]error {
	return map[int]error{
		http.StatusNotFound:           ErrNotFound,
		http.StatusServiceUnavailable: ErrLedgerAway,
		http.StatusBadRequest:         ErrBadRequest,
		http.StatusForbidden:          ErrRefused,
		http.StatusConflict:           ErrBusy,
	}
}

func statusOf(err error) int {
	for status, sentinel := range sentinels() {
		if errors.Is(err, sentinel) {
			return status
		}
	}
	return http.StatusInternalServerError
}
