// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// A connection to a RabbitMQ on loopback, with one channel, for the load generators.

#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>

static amqp_connection_state_t connection;

static void must(const char *what) {
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(connection);
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) die("%s: %s", what, amqp_error_string2(reply.library_error));
}

static void connect_to_rabbit(long port) {
    connection = amqp_new_connection();
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    if (!socket || amqp_socket_open(socket, "127.0.0.1", (int)port)) die("no connection to port %ld", port);
    amqp_rpc_reply_t reply =
        amqp_login(connection, "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest");
    if (reply.reply_type != AMQP_RESPONSE_NORMAL) die("the login was refused");
    amqp_channel_open(connection, 1);
    must("channel");
}
