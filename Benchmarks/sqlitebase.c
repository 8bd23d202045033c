// maild, the mail-job daemon
// SPDX-License-Identifier: Apache-2.0
//
// What SQLite alone does on this disk: durable transactions (WAL, synchronous=FULL) of K rows with a 300-byte blob,
// one thread, for T seconds. The yardstick beside which maild's rates are quoted.

#include "bench.h"
#include <sqlite3.h>
#include <unistd.h>

static sqlite3 *database;
static long rows_each = 1, milliseconds = 2000, blob_bytes = 300;

static void must(int status) {
    if (status != SQLITE_OK && status != SQLITE_DONE && status != SQLITE_ROW)
        die("sqlite: %s", sqlite3_errmsg(database));
}

static void run_sql(const char *sql) { must(sqlite3_exec(database, sql, NULL, NULL, NULL)); }

static void open_database(const char *path) {
    if (access(path, F_OK) == 0) die("%s is there already", path);
    must(sqlite3_open(path, &database));
    run_sql("PRAGMA journal_mode=WAL");
    run_sql("PRAGMA synchronous=FULL");
    run_sql("CREATE TABLE row (id INTEGER PRIMARY KEY, state INTEGER, due INTEGER, kind INTEGER, body BLOB)");
}

static void read_options(int count, char **arguments) {
    for (int option; (option = getopt(count, arguments, "k:t:s:")) != -1;) {
        switch (option) {
        case 'k': rows_each = number('k', optarg, 1, 100000); break;
        case 't': milliseconds = number('t', optarg, 10, 600000); break;
        case 's': blob_bytes = number('s', optarg, 1, 1 << 20); break;
        default: exit(64);
        }
    }
    if (optind != count - 1) {
        fprintf(stderr, "usage: sqlitebase [-k rows a transaction] [-t milliseconds] [-s bytes a row] NEW-FILE\n");
        exit(64);
    }
}

int main(int count, char **arguments) {
    read_options(count, arguments);
    open_database(arguments[optind]);
    char *blob = malloc(blob_bytes);
    if (!blob) die("no memory");
    memset(blob, 'x', blob_bytes);
    sqlite3_stmt *begin, *insert, *commit;
    must(sqlite3_prepare_v2(database, "BEGIN", -1, &begin, NULL));
    const char *sql = "INSERT INTO row (state, due, kind, body) VALUES (0, 0, 0, ?)";
    must(sqlite3_prepare_v2(database, sql, -1, &insert, NULL));
    must(sqlite3_prepare_v2(database, "COMMIT", -1, &commit, NULL));
    must(sqlite3_bind_blob(insert, 1, blob, (int)blob_bytes, SQLITE_STATIC));

    long rows = 0, transactions = 0;
    uint64_t start = now_ns(), now = start;
    for (; now - start < (uint64_t)milliseconds * 1000000u; now = now_ns()) {
        must(sqlite3_step(begin)), sqlite3_reset(begin);
        for (long i = 0; i < rows_each; i++, rows++) must(sqlite3_step(insert)), sqlite3_reset(insert);
        must(sqlite3_step(commit)), sqlite3_reset(commit);
        transactions++;
    }
    double seconds = (double)(now - start) * 1e-9;
    printf("{\"sqlite\":\"%s\",\"rows_each\":%ld,\"rows\":%ld,\"transactions\":%ld,\"seconds\":%.3f,"
           "\"rows_per_s\":%.0f,\"transactions_per_s\":%.0f}\n",
           sqlite3_libversion(), rows_each, rows, transactions, seconds, (double)rows / seconds,
           (double)transactions / seconds);
    return 0;
}
