#include "layers/mount-record.h"

#include <stdio.h>
#include <sys/sysmacros.h>

#include "layers/error.h"
#include "layers/io.h"
#include "layers/keyfile.h"

#define RECORD_MAX_BYTES 65536

void
vf_mount_record_clear (VfMountRecord *record)
{
  g_free (record->point);
  *record = (VfMountRecord){0};
}

/* 0 when there is none, or none that can be read: then the place alone tells. */
static dev_t
read_device (GKeyFile *file)
{
  g_autofree char *text = g_key_file_get_string (file, "mount", "device", NULL);
  unsigned major_number, minor_number;
  if (!text || sscanf (text, "%u:%u", &major_number, &minor_number) != 2)
    return 0;
  return makedev (major_number, minor_number);
}

void
vf_mount_record_read (int dir_fd, VfMountRecord *out_record)
{
  *out_record = (VfMountRecord){0};
  g_autoptr (GBytes) bytes =
      vf_read_file (dir_fd, VF_MOUNT_RECORD, RECORD_MAX_BYTES, VF_MOUNT_RECORD, NULL);
  g_autoptr (GKeyFile) file = bytes ? vf_keyfile_parse (bytes, VF_MOUNT_RECORD, NULL) : NULL;
  if (!file)
    return;
  g_autofree char *point = vf_keyfile_get_bytes (file, "mount", "point");
  gboolean wanted;
  if (!point || !g_path_is_absolute (point) ||
      !vf_keyfile_get_flag (file, "mount", "wanted", &wanted))
    return;
  *out_record = (VfMountRecord){
      .point = g_steal_pointer (&point), .device = read_device (file), .wanted = wanted};
}

gboolean
vf_mount_record_write (int dir_fd, const VfMountRecord *record, const char *what, GError **error)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  vf_keyfile_set_bytes (file, "mount", "point", record->point);
  g_key_file_set_boolean (file, "mount", "wanted", record->wanted);
  g_autofree char *device =
      g_strdup_printf ("%u:%u", major (record->device), minor (record->device));
  if (record->device != 0)
    g_key_file_set_string (file, "mount", "device", device);
  gsize length;
  g_autofree char *text = g_key_file_to_data (file, &length, NULL);
  g_autofree char *path = g_build_filename (what, VF_MOUNT_RECORD, NULL);
  return vf_replace_file_soon (dir_fd, VF_MOUNT_RECORD, 0600, text, length, path, error);
}
