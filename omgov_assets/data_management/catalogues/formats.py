"""The formats that catalogues come in, and the reader of each."""

from __future__ import annotations

from enum import StrEnum

from omgov_assets.data_management.catalogues.entries import CatalogueReader


class CatalogueFormat(StrEnum):
    """A tool's format."""

    DATADOG = "datadog"
    HERTZBEAT = "hertzbeat"
    NIGHTINGALE = "nightingale"
    OTEL = "otel"
    PROMETHEUS = "prometheus"
    ZABBIX = "zabbix"


def reader_of(catalogue_format: CatalogueFormat) -> CatalogueReader:
    """The reader of a format; its module is imported when it is needed."""
    match catalogue_format:
        case CatalogueFormat.DATADOG:
            from omgov_assets.data_management.catalogues.datadog import READER
        case CatalogueFormat.HERTZBEAT:
            from omgov_assets.data_management.catalogues.hertzbeat import READER
        case CatalogueFormat.NIGHTINGALE:
            from omgov_assets.data_management.catalogues.nightingale import READER
        case CatalogueFormat.OTEL:
            from omgov_assets.data_management.catalogues.opentelemetry import READER
        case CatalogueFormat.PROMETHEUS:
            from omgov_assets.data_management.catalogues.prometheus import READER
        case CatalogueFormat.ZABBIX:
            from omgov_assets.data_management.catalogues.zabbix import READER
    return READER
