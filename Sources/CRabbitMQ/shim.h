// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// librabbitmq as Swift can call it: its login is variadic, its method numbers are casts, and a table's values are a
// union. Nothing here decides anything.

#ifndef MAILD_CRABBITMQ_H
#define MAILD_CRABBITMQ_H

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

enum maild_amqp_kind {
    MAILD_AMQP_NOTHING = 0,
    MAILD_AMQP_DELIVERY,
    MAILD_AMQP_CONFIRMED,
    MAILD_AMQP_REFUSED,
    MAILD_AMQP_RETURNED,
    MAILD_AMQP_CANCELLED,
    MAILD_AMQP_CLOSED,
    MAILD_AMQP_OTHER,
    MAILD_AMQP_ERROR
};

struct maild_amqp_event {
    enum maild_amqp_kind kind;
    uint64_t tag;
    bool redelivered;
    bool multiple;
    // For MAILD_AMQP_CLOSED: what the broker said; for MAILD_AMQP_ERROR: the library's words.
    char text[256];
    // For MAILD_AMQP_DELIVERY and MAILD_AMQP_RETURNED; to be freed with amqp_destroy_message.
    amqp_message_t message;
    bool has_message;
};

struct maild_amqp_field {
    const char *name;
    const void *value;
    size_t length;
};

static inline amqp_bytes_t maild_amqp_bytes(const void *bytes, size_t length) {
    amqp_bytes_t result = {length, (void *)bytes};
    return result;
}

static inline void maild_amqp_say(char *text, size_t size, const char *words, const void *bytes, size_t length) {
    int count = length > 200 ? 200 : (int)length;
    snprintf(text, size, "%s%.*s", words, count, (const char *)bytes);
}

// What a failed call says; an empty text for one that went well.
static inline bool maild_amqp_reply(amqp_rpc_reply_t reply, char *text, size_t size) {
    text[0] = 0;
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) return true;
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
        snprintf(text, size, "%s", amqp_error_string2(reply.library_error));
    } else if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
        amqp_connection_close_t *close = (amqp_connection_close_t *)reply.reply.decoded;
        maild_amqp_say(text, size, "", close->reply_text.bytes, close->reply_text.len);
    } else if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
        amqp_channel_close_t *close = (amqp_channel_close_t *)reply.reply.decoded;
        maild_amqp_say(text, size, "", close->reply_text.bytes, close->reply_text.len);
    } else {
        snprintf(text, size, "the server hung up");
    }
    return false;
}

// Connects; roots: the authorities to trust, NULL without TLS.
static inline bool maild_amqp_open(
    amqp_connection_state_t connection, const char *host, int port, int seconds, const char *roots,
    const char *certificate, const char *key, char *text, size_t size) {
    struct timeval limit = {seconds, 0};
    amqp_socket_t *socket = roots ? amqp_ssl_socket_new(connection) : amqp_tcp_socket_new(connection);
    int status = socket ? AMQP_STATUS_OK : AMQP_STATUS_NO_MEMORY;
    if (status == AMQP_STATUS_OK && roots) {
        amqp_ssl_socket_set_verify_peer(socket, 1);
        amqp_ssl_socket_set_verify_hostname(socket, 1);
        status = amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST);
        if (status == AMQP_STATUS_OK) status = amqp_ssl_socket_set_cacert(socket, roots);
        if (status == AMQP_STATUS_OK && certificate) status = amqp_ssl_socket_set_key(socket, certificate, key);
    }
    if (status == AMQP_STATUS_OK) {
        amqp_set_handshake_timeout(connection, &limit);
        amqp_set_rpc_timeout(connection, &limit);
        status = amqp_socket_open_noblock(socket, host, port, &limit);
    }
    snprintf(text, size, "%s", status == AMQP_STATUS_OK ? "" : amqp_error_string2(status));
    return status == AMQP_STATUS_OK;
}

// frame_max 131072: what RabbitMQ offers by itself; heartbeat in seconds.
static inline bool maild_amqp_login(
    amqp_connection_state_t connection, const char *vhost, int heartbeat, const char *user, const char *password,
    char *text, size_t size) {
    return maild_amqp_reply(
        amqp_login(connection, vhost, 0, 131072, heartbeat, AMQP_SASL_METHOD_PLAIN, user, password), text, size);
}

static inline bool maild_amqp_channel(amqp_connection_state_t connection, uint16_t channel, char *text, size_t size) {
    amqp_channel_open(connection, channel);
    return maild_amqp_reply(amqp_get_rpc_reply(connection), text, size);
}

// AMQP 0-9-1 § 1.5.2.6: a channel that the broker has closed is free again once it is told that this was heard.
static inline void maild_amqp_heard_close(amqp_connection_state_t connection, uint16_t channel) {
    amqp_channel_close_ok_t ok = {0};
    amqp_send_method(connection, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
}

// count: messages that are ready, or -1.
static inline bool maild_amqp_queue(
    amqp_connection_state_t connection, uint16_t channel, const char *queue, bool passive, int64_t *count, char *text,
    size_t size) {
    amqp_table_entry_t entry;
    memset(&entry, 0, sizeof entry);
    entry.key = amqp_cstring_bytes("x-queue-type");
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_cstring_bytes("quorum");
    amqp_table_t quorum = {1, &entry};
    amqp_queue_declare_ok_t *ok = amqp_queue_declare(
        connection, channel, amqp_cstring_bytes(queue), passive, 1, 0, 0, passive ? amqp_empty_table : quorum);
    *count = ok ? (int64_t)ok->message_count : -1;
    return maild_amqp_reply(amqp_get_rpc_reply(connection), text, size);
}

static inline bool maild_amqp_confirms(amqp_connection_state_t connection, uint16_t channel, char *text, size_t size) {
    amqp_confirm_select(connection, channel);
    return maild_amqp_reply(amqp_get_rpc_reply(connection), text, size);
}

static inline bool maild_amqp_consume(
    amqp_connection_state_t connection, uint16_t channel, const char *queue, const char *tag, uint16_t prefetch,
    char *text, size_t size) {
    amqp_basic_qos(connection, channel, 0, prefetch, 0);
    if (!maild_amqp_reply(amqp_get_rpc_reply(connection), text, size)) return false;
    amqp_basic_consume(
        connection, channel, amqp_cstring_bytes(queue), amqp_cstring_bytes(tag), 0, 0, 0, amqp_empty_table);
    return maild_amqp_reply(amqp_get_rpc_reply(connection), text, size);
}

// Persistent, mandatory, with headers. Returns a status of the library.
static inline int maild_amqp_publish(
    amqp_connection_state_t connection, uint16_t channel, const char *exchange, const char *key, const char *id,
    const struct maild_amqp_field *fields, int count, const void *body, size_t length) {
    amqp_table_entry_t entries[16];
    memset(entries, 0, sizeof entries);
    if (count > 16) count = 16;
    for (int index = 0; index < count; index++) {
        entries[index].key = amqp_cstring_bytes(fields[index].name);
        entries[index].value.kind = AMQP_FIELD_KIND_UTF8;
        entries[index].value.value.bytes = maild_amqp_bytes(fields[index].value, fields[index].length);
    }
    amqp_basic_properties_t properties;
    memset(&properties, 0, sizeof properties);
    properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_HEADERS_FLAG
        | AMQP_BASIC_CORRELATION_ID_FLAG;
    properties.content_type = amqp_cstring_bytes("application/json");
    properties.delivery_mode = 2;
    properties.correlation_id = amqp_cstring_bytes(id);
    properties.headers.num_entries = count;
    properties.headers.entries = entries;
    return amqp_basic_publish(
        connection, channel, amqp_cstring_bytes(exchange), amqp_cstring_bytes(key), 1, 0, &properties,
        maild_amqp_bytes(body, length));
}

static inline void maild_amqp_message(
    amqp_connection_state_t connection, uint16_t channel, struct maild_amqp_event *event) {
    amqp_rpc_reply_t reply = amqp_read_message(connection, channel, &event->message, 0);
    event->has_message = maild_amqp_reply(reply, event->text, sizeof event->text);
    if (!event->has_message) event->kind = MAILD_AMQP_ERROR;
}

// The next thing that the broker has said, without waiting for one.
static inline void maild_amqp_next(amqp_connection_state_t connection, struct maild_amqp_event *event) {
    struct timeval now = {0, 0};
    amqp_frame_t frame;
    memset(event, 0, sizeof *event);
    int status = amqp_simple_wait_frame_noblock(connection, &frame, &now);
    if (status == AMQP_STATUS_TIMEOUT) return;
    if (status != AMQP_STATUS_OK) {
        event->kind = MAILD_AMQP_ERROR;
        snprintf(event->text, sizeof event->text, "%s", amqp_error_string2(status));
        return;
    }
    event->kind = MAILD_AMQP_OTHER;
    if (frame.frame_type != AMQP_FRAME_METHOD) return;
    switch (frame.payload.method.id) {
    case AMQP_BASIC_DELIVER_METHOD: {
        amqp_basic_deliver_t *deliver = (amqp_basic_deliver_t *)frame.payload.method.decoded;
        event->kind = MAILD_AMQP_DELIVERY;
        event->tag = deliver->delivery_tag;
        event->redelivered = deliver->redelivered;
        maild_amqp_message(connection, frame.channel, event);
        break;
    }
    case AMQP_BASIC_ACK_METHOD: {
        amqp_basic_ack_t *ack = (amqp_basic_ack_t *)frame.payload.method.decoded;
        event->kind = MAILD_AMQP_CONFIRMED;
        event->tag = ack->delivery_tag;
        event->multiple = ack->multiple;
        break;
    }
    case AMQP_BASIC_NACK_METHOD: {
        amqp_basic_nack_t *nack = (amqp_basic_nack_t *)frame.payload.method.decoded;
        event->kind = MAILD_AMQP_REFUSED;
        event->tag = nack->delivery_tag;
        event->multiple = nack->multiple;
        break;
    }
    case AMQP_BASIC_RETURN_METHOD: {
        amqp_basic_return_t *returned = (amqp_basic_return_t *)frame.payload.method.decoded;
        event->kind = MAILD_AMQP_RETURNED;
        maild_amqp_say(event->text, sizeof event->text, "", returned->reply_text.bytes, returned->reply_text.len);
        maild_amqp_message(connection, frame.channel, event);
        break;
    }
    case AMQP_BASIC_CANCEL_METHOD:
        event->kind = MAILD_AMQP_CANCELLED;
        break;
    case AMQP_CHANNEL_CLOSE_METHOD: {
        amqp_channel_close_t *close = (amqp_channel_close_t *)frame.payload.method.decoded;
        event->kind = MAILD_AMQP_CLOSED;
        maild_amqp_say(event->text, sizeof event->text, "", close->reply_text.bytes, close->reply_text.len);
        break;
    }
    case AMQP_CONNECTION_CLOSE_METHOD: {
        amqp_connection_close_t *close = (amqp_connection_close_t *)frame.payload.method.decoded;
        event->kind = MAILD_AMQP_CLOSED;
        maild_amqp_say(event->text, sizeof event->text, "", close->reply_text.bytes, close->reply_text.len);
        break;
    }
    default:
        break;
    }
}

static inline bool maild_amqp_has(const amqp_basic_properties_t *properties, amqp_flags_t flag) {
    return (properties->_flags & flag) != 0;
}

// Empty where the property is not there.
static inline amqp_bytes_t maild_amqp_message_id(const amqp_message_t *message) {
    bool has = maild_amqp_has(&message->properties, AMQP_BASIC_MESSAGE_ID_FLAG);
    return has ? message->properties.message_id : amqp_empty_bytes;
}

static inline amqp_bytes_t maild_amqp_correlation_id(const amqp_message_t *message) {
    bool has = maild_amqp_has(&message->properties, AMQP_BASIC_CORRELATION_ID_FLAG);
    return has ? message->properties.correlation_id : amqp_empty_bytes;
}

static inline uint64_t maild_amqp_timestamp(const amqp_message_t *message) {
    return maild_amqp_has(&message->properties, AMQP_BASIC_TIMESTAMP_FLAG) ? message->properties.timestamp : 0;
}

#endif
