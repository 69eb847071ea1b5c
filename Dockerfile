# docker build -t convod .
# docker run -p 5000:5000 --env-file=.env convod
#
# Packages come from packages.txt, as for ./run and ./check. Classic
# instructions only, so that every builder takes it.

FROM debian:bookworm-slim AS build
WORKDIR /src
COPY packages.txt ./
COPY scripts/install.sh scripts/
RUN sh scripts/install.sh build
COPY meson.build meson_options.txt LICENSE ./
COPY include include
COPY share share
COPY src src
COPY tools tools
COPY docs docs
RUN meson setup build --buildtype=release --prefix=/usr -Dtests=false \
        -Dpocketsphinx=enabled -Dflite=enabled -Dwebrtc_vad=enabled \
    && DESTDIR=/out meson install -C build --strip

FROM debian:bookworm-slim
COPY packages.txt /tmp/convod/
COPY scripts/install.sh /tmp/convod/scripts/
RUN cd /tmp/convod && sh scripts/install.sh run \
    && rm -rf /tmp/convod /var/lib/apt/lists/* /var/cache/apt/*.bin \
    && useradd --system --no-create-home --home-dir /nonexistent \
        --shell /usr/sbin/nologin --uid 10001 convod \
    && install -d -o convod -m 700 /var/lib/convod
COPY --from=build /out/usr /usr
COPY LICENSE /usr/share/doc/convod/copyright

# All interfaces of a container are its own; what is published decides
ENV HOST=0.0.0.0 PORT=5000 DRAIN_SECONDS=600
EXPOSE 5000
USER convod
WORKDIR /run/convod
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["convod", "--healthcheck"]
ENTRYPOINT ["convod"]
