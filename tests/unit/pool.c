#include "fs/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layers/io.h"

/* A source is a pipe: each byte written to it is a request. 'd' kills the source, 's' blocks its
 * worker until the test opens the gate, 'w' waits a little. */
typedef struct {
  int read_fd, write_fd;
  gint n_handled, n_blocked, n_gone;
  gint gate;
  gint n_parallel, n_parallel_max;
} Pipe;

static int
pipe_step (gpointer user_data, struct fuse_buf *buffer)
{
  Pipe *pipe_ = user_data;
  if (buffer->mem == NULL)
    buffer->mem = malloc (buffer->size = 4096);
  char request;
  ssize_t n = read (pipe_->read_fd, &request, 1);
  if (n < 0)
    return errno == EAGAIN ? 0 : -errno;
  if (request == 'd')
    return -ENODEV;
  int parallel = g_atomic_int_add (&pipe_->n_parallel, 1) + 1;
  if (parallel > g_atomic_int_get (&pipe_->n_parallel_max))
    g_atomic_int_set (&pipe_->n_parallel_max, parallel);
  if (request == 's') {
    g_atomic_int_inc (&pipe_->n_blocked);
    while (!g_atomic_int_get (&pipe_->gate))
      g_usleep (1000);
  }
  if (request == 'w')
    g_usleep (1000);
  g_atomic_int_add (&pipe_->n_parallel, -1);
  g_atomic_int_inc (&pipe_->n_handled);
  return 1;
}

static void
pipe_gone (gpointer user_data)
{
  Pipe *pipe_ = user_data;
  g_assert_cmpint (g_atomic_int_get (&pipe_->n_parallel), ==, 0);
  g_atomic_int_inc (&pipe_->n_gone);
}

static void
pipe_make (Pipe *pipe_)
{
  int fds[2];
  memset (pipe_, 0, sizeof *pipe_);
  g_assert_cmpint (pipe2 (fds, O_NONBLOCK | O_CLOEXEC), ==, 0);
  pipe_->read_fd = fds[0];
  pipe_->write_fd = fds[1];
}

static void
pipe_open (Pipe *pipe_, VfPool *pool)
{
  pipe_make (pipe_);
  g_assert_true (vf_pool_add (pool, pipe_->read_fd, pipe_step, pipe_gone, pipe_, NULL));
}

static void
pipe_close (Pipe *pipe_)
{
  close (pipe_->read_fd);
  close (pipe_->write_fd);
}

/* One by one: like the kernel's FUSE, which wakes a reader for each request. */
static void
pipe_ask (Pipe *pipe_, const char *requests)
{
  for (; *requests != '\0'; requests++)
    g_assert_cmpint (write (pipe_->write_fd, requests, 1), ==, 1);
}

static void
wait_until (gint *counter, gint value)
{
  for (int i = 0; i < 10000 && g_atomic_int_get (counter) != value; i++)
    g_usleep (1000);
  g_assert_cmpint (g_atomic_int_get (counter), ==, value);
}

static void
test_requests (void)
{
  VfPool *pool = vf_pool_new (2, 0, NULL);
  Pipe pipes[10];
  for (gsize i = 0; i < G_N_ELEMENTS (pipes); i++)
    pipe_open (&pipes[i], pool);
  g_assert_cmpuint (vf_pool_n_sources (pool), ==, 10);
  for (int round = 0; round < 200; round++)
    for (gsize i = 0; i < G_N_ELEMENTS (pipes); i++)
      pipe_ask (&pipes[i], "x");
  for (gsize i = 0; i < G_N_ELEMENTS (pipes); i++)
    wait_until (&pipes[i].n_handled, 200);
  vf_pool_free (pool);
  for (gsize i = 0; i < G_N_ELEMENTS (pipes); i++) {
    g_assert_cmpint (pipes[i].n_gone, ==, 0);
    pipe_close (&pipes[i]);
  }
}

static void
test_dead_source (void)
{
  VfPool *pool = vf_pool_new (2, 0, NULL);
  Pipe dying, other;
  pipe_open (&dying, pool);
  pipe_open (&other, pool);
  pipe_ask (&dying, "xd");
  wait_until (&dying.n_gone, 1);
  g_assert_cmpint (g_atomic_int_get (&dying.n_handled), ==, 1);
  g_assert_cmpuint (vf_pool_n_sources (pool), ==, 1);
  pipe_ask (&dying, "x");
  pipe_ask (&other, "x");
  wait_until (&other.n_handled, 1);
  g_assert_cmpint (g_atomic_int_get (&dying.n_handled), ==, 1);
  vf_pool_free (pool);
  g_assert_cmpint (dying.n_gone, ==, 1);
  pipe_close (&dying);
  pipe_close (&other);
}

/* Whatever the workers are stuck in, a request of another source is answered. */
static void
test_grows_when_stuck (void)
{
  VfPool *pool = vf_pool_new (2, 0, NULL);
  Pipe slow, other;
  pipe_open (&slow, pool);
  pipe_open (&other, pool);
  pipe_ask (&slow, "ssssss");
  wait_until (&slow.n_blocked, 6);
  pipe_ask (&other, "xxx");
  wait_until (&other.n_handled, 3);
  g_assert_cmpint (slow.n_handled, ==, 0);
  g_assert_cmpuint (vf_pool_n_workers (pool), >=, 7);
  g_atomic_int_set (&slow.gate, 1);
  wait_until (&slow.n_handled, 6);
  for (int i = 0; i < 10000 && vf_pool_n_workers (pool) > 2; i++)
    g_usleep (1000);
  g_assert_cmpuint (vf_pool_n_workers (pool), ==, 2);
  pipe_ask (&other, "x");
  wait_until (&other.n_handled, 4);
  vf_pool_free (pool);
  pipe_close (&slow);
  pipe_close (&other);
}

static void
wait_for_gate (gpointer user_data)
{
  Pipe *pipe_ = user_data;
  wait_until (&pipe_->gate, 1);
  g_atomic_int_inc (&pipe_->n_gone);
}

/* What a source leaves behind may take long to put away, and may even need others to be answered.
 */
static void
test_grows_when_stuck_in_gone (void)
{
  VfPool *pool = vf_pool_new (2, 0, NULL);
  Pipe dying[2], other;
  pipe_open (&other, pool);
  for (gsize i = 0; i < G_N_ELEMENTS (dying); i++) {
    pipe_make (&dying[i]);
    g_assert_true (vf_pool_add (pool, dying[i].read_fd, pipe_step, wait_for_gate, &dying[i], NULL));
    pipe_ask (&dying[i], "d");
  }
  for (int i = 0; i < 10000 && vf_pool_n_sources (pool) > 1; i++)
    g_usleep (1000);
  pipe_ask (&other, "x");
  wait_until (&other.n_handled, 1);
  for (gsize i = 0; i < G_N_ELEMENTS (dying); i++) {
    g_assert_cmpint (g_atomic_int_get (&dying[i].n_gone), ==, 0);
    g_atomic_int_set (&dying[i].gate, 1);
    wait_until (&dying[i].n_gone, 1);
    pipe_close (&dying[i]);
  }
  vf_pool_free (pool);
  pipe_close (&other);
}

/* Quick requests, however many, start no worker. */
static void
test_does_not_grow_when_quick (void)
{
  VfPool *pool = vf_pool_new (2, 0, NULL);
  Pipe quick;
  pipe_open (&quick, pool);
  for (int i = 0; i < 20000; i++)
    pipe_ask (&quick, "x");
  wait_until (&quick.n_handled, 20000);
  /* On a loaded machine some may have been slow all the same. */
  g_assert_cmpuint (vf_pool_n_workers (pool), <=, 5);
  g_assert_cmpint (quick.n_parallel_max, <=, 5);
  vf_pool_free (pool);
  pipe_close (&quick);
}

/* Each is answered before any tick finds it stuck. */
static void
test_grows_when_slow (void)
{
  VfPool *pool = vf_pool_new (1, 0, NULL);
  Pipe slow;
  pipe_open (&slow, pool);
  for (int i = 0; i < 10000 && g_atomic_int_get (&slow.n_parallel_max) < 4; i++) {
    pipe_ask (&slow, "wwww");
    g_usleep (1000);
  }
  g_assert_cmpint (g_atomic_int_get (&slow.n_parallel_max), >=, 4);
  vf_pool_free (pool);
  pipe_close (&slow);
}

static gpointer
add_and_kill (gpointer data)
{
  VfPool *pool = data;
  for (int i = 0; i < 200; i++) {
    Pipe source;
    pipe_open (&source, pool);
    pipe_ask (&source, "xxd");
    wait_until (&source.n_gone, 1);
    g_assert_cmpint (g_atomic_int_get (&source.n_handled), >=, 1);
    pipe_close (&source);
  }
  return NULL;
}

static void
test_coming_and_going (void)
{
  VfPool *pool = vf_pool_new (2, 0, NULL);
  GThread *threads[4];
  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    threads[i] = g_thread_new ("sources", add_and_kill, pool);
  for (gsize i = 0; i < G_N_ELEMENTS (threads); i++)
    g_thread_join (threads[i]);
  g_assert_cmpuint (vf_pool_n_sources (pool), ==, 0);
  vf_pool_free (pool);
}

static void
test_bad_descriptor (void)
{
  VfPool *pool = vf_pool_new (2, 0, NULL);
  g_autoptr (GError) error = NULL;
  Pipe none = {0};
  VF_AUTOFD file = open ("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  g_assert_false (vf_pool_add (pool, file, pipe_step, pipe_gone, &none, &error));
  g_assert_nonnull (error);
  g_assert_cmpint (error->code, ==, EPERM);
  g_assert_cmpuint (vf_pool_n_sources (pool), ==, 0);
  vf_pool_free (pool);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/pool/requests", test_requests);
  g_test_add_func ("/pool/dead-source", test_dead_source);
  g_test_add_func ("/pool/grows-when-stuck", test_grows_when_stuck);
  g_test_add_func ("/pool/grows-when-stuck-in-gone", test_grows_when_stuck_in_gone);
  g_test_add_func ("/pool/does-not-grow-when-quick", test_does_not_grow_when_quick);
  g_test_add_func ("/pool/grows-when-slow", test_grows_when_slow);
  g_test_add_func ("/pool/coming-and-going", test_coming_and_going);
  g_test_add_func ("/pool/bad-descriptor", test_bad_descriptor);
  return g_test_run ();
}
