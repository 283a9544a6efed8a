/* ---
kind: conform
dataset: log_events
version: 1.0.0
owner: chen.min@example.com
description: OpenTelemetry log records to the standard.
units: {duration: ms, bytes_sent: By}
--- */
select
    id                                                as log_id,
    coalesce(
        cast(resource as json) ->> '$.ci',
        cast(resource as json) ->> '$.service',
        'unknown'
    )                                                 as ci_id,
    make_timestamptz(scope)             as logged_at,
    case
        when severity_number >= 21 then 'fatal'
        when severity_number >= 17 then 'error'
        when severity_number >= 13 then 'warn'
        when severity_number >= 9 then 'info'
        else 'debug'
    end                                               as severity,
    scope                                             as logger,
    lower(trace_id)                                   as trace_id,
    elapsed / 1000                                    as duration,
    sent / 8                                          as bytes_sent,
    attributes                                        as fields,
    body                                              as "message",
    _batch_id,
    _record_no
from source
