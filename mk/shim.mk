# The extension named `vector` for programs and dumps made for pgvector. It has a goal of its own,
# since `make install` must never touch a server's pgvector.

.PHONY: vector-shim install-vector-shim

vector-shim:
	@scripts/make-vector-shim build/shim

install-vector-shim: vector-shim
	scripts/install-vector-shim build/shim '$(DESTDIR)$(datadir)/extension'
