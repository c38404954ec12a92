# What other people install:
#
#   make dist          build/dvec-VERSION.zip, as PGXN takes it, of the last commit
#   make check-dist    that it has all it needs and nothing else: built, and installed into a scratch folder
#   make deb           Debian packages in build/packages, for the servers that this Debian has
#   make release       all that is given away: zip and packages, tried on a Debian that has nothing else
#                      (scripts/check-release), and the image, where docker runs (scripts/check-image)

.PHONY: check-dist deb dist release

distribution_version := $(shell sed -n "s/^default_version *= *'\(.*\)'.*/\1/p" dvec.control)
DISTRIBUTION = dvec-$(distribution_version)
# The tests that a packager runs (`make installcheck`) are in it; what measures, proves or shows dvec is not.
DISTRIBUTED = META.json Makefile dvec.control CHANGELOG.md CONTRIBUTING.md LICENSE README.md docs examples src sql shim \
	expected test/sql mk/engine.mk mk/shim.mk scripts/install-dependencies scripts/install-vector-shim \
	scripts/make-vector-shim scripts/plan-text bench/results/*.svg
archive = git archive --prefix=$(DISTRIBUTION)/

dist:
	scripts/check-meta META.json
	@mkdir -p build
	$(archive) --format=zip -o build/$(DISTRIBUTION).zip HEAD -- $(DISTRIBUTED)

# What is compiled already is not compiled again, but for what the zip lacks.
check-dist: dist all vector-shim
	scripts/check-dist build/$(DISTRIBUTION).zip

# Without the tests of the packages, which want every kind of server: scripts/try-release has those.
deb:
	rm -rf build/packages && mkdir -p build/packages
	$(archive) --format=tar HEAD -- $(DISTRIBUTED) debian | tar -x -C build/packages
	cd build/packages/$(DISTRIBUTION) && env -u MAKEFLAGS -u MAKELEVEL DEB_BUILD_PROFILES=nocheck \
		DEB_BUILD_OPTIONS='nocheck parallel=$(JOBS)' dpkg-buildpackage --no-sign --build=binary

release:
	scripts/install-dependencies release
	$(MAKE) --no-print-directory check-dist deb
	lintian --fail-on error build/packages/*.changes
	scripts/check-release build/packages build/$(DISTRIBUTION).zip
	scripts/check-image build/$(DISTRIBUTION)-image.tar
