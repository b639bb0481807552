#include "layers/bytecode.h"
#include "layers/image.h"
#include "python-fixture.h"

/* @files: path, content, path, content, …, NULL. */
static VfPackage *
add_package (VfStore *store, const char *name, const char *const *files)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (store, &error);
  g_autoptr (VfObjectBatch) batch = vf_object_batch_new (store, &error);
  g_assert_no_error (error);
  g_autofree char *dist_info = g_strdup_printf ("%s-1.dist-info", name);
  VfPackage *package = vf_package_new (name, "1", dist_info);
  for (; *files; files += 2) {
    VfDigest digest;
    vf_digest_of (files[1], strlen (files[1]), &digest);
    vf_object_batch_add (batch, &digest, files[1], strlen (files[1]), NULL, &error);
    g_assert_no_error (error);
    vf_package_add_file (package, VF_SCHEME_PURELIB, files[0], 0644, strlen (files[1]), &digest, 0);
  }
  g_assert_true (vf_package_put (package, batch, &error));
  g_assert_true (vf_object_batch_commit (batch, &error));
  return package;
}

static void
compile (VfStore *store, const VfInterpreter *python, VfPackage *package, guint n_workers)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (store, &error);
  vf_bytecode_compile (store, python, &package, 1, n_workers, NULL, NULL, &error);
  g_assert_no_error (error);
}

static VfBytecode *
load (Fixture *f, VfPackage *package)
{
  g_autoptr (GError) error = NULL;
  VfBytecode *bytecode = vf_bytecode_load (f->store, f->python, package, &error);
  g_assert_no_error (error);
  return bytecode;
}

static GBytes *
read_object (VfStore *store, const VfDigest *digest)
{
  VfExtent extent;
  g_assert_cmpint (vf_object_open (store, digest, &extent), ==, 0);
  VF_AUTOFD fd = extent.fd;
  g_autofree guint8 *data = g_malloc (extent.length + 1);
  g_assert_true (vf_read_all (fd, data, extent.length, extent.offset, "object", NULL));
  return g_bytes_new (data, extent.length);
}

static const char *const demo[] = {
    "demo/__init__.py",
    "",
    "demo/a.py",
    "X = {None, 'b'}\n",
    "demo/bad.py",
    "print 'x'\n",
    "demo/data.txt",
    "",
    "other/__init__.py",
    "",
    NULL,
};

static void
test_listing (Fixture *f, gconstpointer data)
{
  g_autoptr (VfPackage) package = add_package (f->store, "demo", demo);
  g_assert_null (load (f, package));
  compile (f->store, f->python, package, 0);
  g_autoptr (VfBytecode) bytecode = load (f, package);
  g_assert_nonnull (bytecode);
  const char *expected[] = {"demo/__init__.py", "demo/a.py", "other/__init__.py"};
  g_assert_cmpint (bytecode->entries->len, ==, G_N_ELEMENTS (expected));
  for (guint i = 0; i < bytecode->entries->len; i++) {
    const VfBytecodeEntry *entry = &g_array_index (bytecode->entries, VfBytecodeEntry, i);
    const VfPackageFile *file = &g_array_index (package->files, VfPackageFile, entry->source);
    g_assert_cmpstr (file->path, ==, expected[i]);
    g_assert_cmpint (vf_object_size (f->store, &entry->digest), ==, entry->size);
  }
  const VfBytecodeEntry *entries = (VfBytecodeEntry *)(void *)bytecode->entries->data;
  g_assert_true (vf_digest_equal (&entries[0].digest, &entries[2].digest));
}

static void
test_header (Fixture *f, gconstpointer data)
{
  g_autoptr (VfPackage) package = add_package (f->store, "demo", demo);
  compile (f->store, f->python, package, 1);
  g_autoptr (VfBytecode) bytecode = load (f, package);
  const VfBytecodeEntry *entry = &g_array_index (bytecode->entries, VfBytecodeEntry, 1);
  const VfPackageFile *file = &g_array_index (package->files, VfPackageFile, entry->source);
  g_autoptr (GBytes) pyc = read_object (f->store, &entry->digest);
  const guint8 *bytes = g_bytes_get_data (pyc, NULL);
  g_autofree char *magic =
      g_strdup_printf ("%02x%02x%02x%02x", bytes[0], bytes[1], bytes[2], bytes[3]);
  g_assert_cmpstr (magic, ==, f->python->bytecode_magic);
  guint32 words[3];
  memcpy (words, bytes + 4, sizeof words);
  g_assert_cmpint (GUINT32_FROM_LE (words[0]), ==, 0);
  g_assert_cmpint (GUINT32_FROM_LE (words[1]), ==, vf_content_mtime (&file->digest));
  g_assert_cmpint (GUINT32_FROM_LE (words[2]), ==, file->size);
}

/* The same bytes by one worker and by three, in another store. */
static void
test_reproducible (Fixture *f, gconstpointer data)
{
  g_autofree char *path = g_build_filename (f->root, "other", NULL);
  g_autoptr (VfStore) other = vf_store_open (path, NULL);
  g_autoptr (VfPackage) here = add_package (f->store, "demo", demo);
  g_autoptr (VfPackage) there = add_package (other, "demo", demo);
  compile (f->store, f->python, here, 1);
  compile (other, f->python, there, 3);
  g_autoptr (VfBytecode) a = load (f, here);
  g_autoptr (VfBytecode) b = vf_bytecode_load (other, f->python, there, NULL);
  g_assert_true (vf_digest_equal (&a->digest, &b->digest));
}

static void
test_no_modules (Fixture *f, gconstpointer data)
{
  const char *files[] = {"only.txt", "text", NULL};
  g_autoptr (VfPackage) package = add_package (f->store, "nothing", files);
  compile (f->store, f->python, package, 0);
  g_autoptr (VfBytecode) bytecode = load (f, package);
  g_assert_cmpint (bytecode->entries->len, ==, 0);
}

static gboolean
count (gsize done, gsize total, gpointer user_data)
{
  gsize *last = user_data;
  g_assert_cmpint (done, >=, *last);
  g_assert_cmpint (total, ==, 3); /* of the two empty ones only one is compiled */
  *last = done;
  return TRUE;
}

static gboolean
stop (gsize done, gsize total, gpointer user_data)
{
  return FALSE;
}

static void
test_cancelled (Fixture *f, gconstpointer data)
{
  g_autoptr (VfPackage) package = add_package (f->store, "demo", demo);
  g_autoptr (GError) error = NULL, none = NULL;
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (f->store, &none);
  g_assert_false (vf_bytecode_compile (f->store, f->python, &package, 1, 1, stop, NULL, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_CANCELLED);
  g_autoptr (VfBytecode) bytecode = vf_bytecode_load (f->store, f->python, package, &none);
  g_assert_no_error (none);
  g_assert_null (bytecode);
}

static void
test_progress (Fixture *f, gconstpointer data)
{
  g_autoptr (VfPackage) package = add_package (f->store, "demo", demo);
  g_autoptr (GError) error = NULL;
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (f->store, &error);
  gsize last = 0;
  vf_bytecode_compile (f->store, f->python, &package, 1, 2, count, &last, &error);
  g_assert_no_error (error);
  g_assert_cmpint (last, ==, 3);
  last = 0; /* what is compiled is not compiled again */
  vf_bytecode_compile (f->store, f->python, &package, 1, 2, count, &last, &error);
  g_assert_no_error (error);
  g_assert_cmpint (last, ==, 0);
}

/* A copy of the interpreter's description whose executable is @script. */
static VfInterpreter
stand_in (Fixture *f, const char *script, char **out_path)
{
  VfInterpreter fake = *f->python;
  *out_path = g_build_filename (f->root, "fake", NULL);
  g_assert_true (g_file_set_contents (*out_path, script, -1, NULL));
  g_chmod (*out_path, 0755);
  fake.executable = *out_path;
  fake.bytecode_magic = (char *)"61626364";
  return fake;
}

/* Also in the middle of a module. */
static void
test_cancelled_while_compiling (Fixture *f, gconstpointer data)
{
  const char *files[] = {"one.py", "x = 1\n", NULL};
  g_autofree char *path = NULL;
  VfInterpreter fake = stand_in (f, "#!/bin/sh\nprintf abcd; exec sleep 600\n", &path);
  g_autoptr (VfPackage) package = add_package (f->store, "one", files);
  g_autoptr (GError) error = NULL;
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (f->store, &error);
  g_assert_no_error (error);
  g_assert_false (vf_bytecode_compile (f->store, &fake, &package, 1, 1, stop, NULL, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_CANCELLED);
}

static void
test_killed (Fixture *f, gconstpointer data)
{
  const char *files[] = {"one.py", "x = 1\n", NULL};
  g_autofree char *path = NULL;
  VfInterpreter fake =
      stand_in (f, "#!/bin/sh\nprintf abcd\nhead -c 20 >/dev/null\nkill -KILL $$\n", &path);
  g_autoptr (VfPackage) package = add_package (f->store, "one", files);
  g_autoptr (GError) error = NULL;
  g_autoptr (VfStoreWrite) write = vf_store_begin_write (f->store, NULL);
  g_assert_false (vf_bytecode_compile (f->store, &fake, &package, 1, 1, NULL, NULL, &error));
  g_assert_error (error, VF_ERROR, VF_ERROR_FAILED);
  g_autofree char *message = g_strdup_printf (
      "one.py: %s: the process that compiles modules was killed by signal 9", path);
  g_assert_cmpstr (error->message, ==, message);
  g_assert_null (vf_bytecode_load (f->store, &fake, package, NULL));
}

/* A module that crashes the interpreter is left out, and costs the others nothing. */
static void
test_crashing_module (Fixture *f, gconstpointer data)
{
  const char *files[] = {"big.py", "# crashes, largest first\n", "ok.py", "x = 1\n", NULL};
  g_autofree char *script = g_strdup ("#!/bin/sh\nprintf abcd\n"
                                      "while :; do\n"
                                      "  size=$(head -c 8 | od -An -tu4 | awk '{print $1 + $2}')\n"
                                      "  [ -n \"$size\" ] && [ \"$size\" -gt 0 ] || exit 0\n"
                                      "  head -c $size | grep -q crashes && kill -SEGV $$\n"
                                      "  printf '\\001\\000\\000\\000N'\n"
                                      "done\n");
  g_autofree char *path = NULL;
  VfInterpreter fake = stand_in (f, script, &path);
  g_autoptr (VfPackage) package = add_package (f->store, "crash", files);
  compile (f->store, &fake, package, 1);
  g_autoptr (GError) error = NULL;
  g_autoptr (VfBytecode) bytecode = vf_bytecode_load (f->store, &fake, package, &error);
  g_assert_no_error (error);
  g_assert_cmpint (bytecode->entries->len, ==, 1);
  g_assert_cmpint (g_array_index (bytecode->entries, VfBytecodeEntry, 0).source, ==, 1);
}

static void
test_missing_source (Fixture *f, gconstpointer data)
{
  VfDigest digest = {{9}};
  g_autoptr (VfPackage) package = vf_package_new ("gone", "1", "gone-1.dist-info");
  vf_package_add_file (package, VF_SCHEME_PURELIB, "gone.py", 0644, 3, &digest, 0);
  g_autoptr (GError) error = NULL;
  g_assert_false (vf_bytecode_compile (f->store, f->python, &package, 1, 1, NULL, NULL, &error));
  g_assert_error (error, VF_SYSTEM_ERROR, ENOENT);
  g_assert_true (g_str_has_prefix (error->message, "gone.py: cannot open its source, object 09"));
}

#define ADD(name, function)                                                                        \
  g_test_add ("/bytecode-compile/" name, Fixture, NULL, setup, function, teardown)

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);
  ADD ("listing", test_listing);
  ADD ("header", test_header);
  ADD ("reproducible", test_reproducible);
  ADD ("no-modules", test_no_modules);
  ADD ("progress", test_progress);
  ADD ("cancelled", test_cancelled);
  ADD ("cancelled-while-compiling", test_cancelled_while_compiling);
  ADD ("killed", test_killed);
  ADD ("crashing-module", test_crashing_module);
  ADD ("missing-source", test_missing_source);
  return g_test_run ();
}
