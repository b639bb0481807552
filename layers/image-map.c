/* The registry of mappings, and the one SIGBUS handler.
 *
 * The handler may run at any instruction of any thread, so the registry is a list of blocks of
 * slots that is only ever prepended to and never freed: the handler walks it without a lock. A slot
 * is taken by a compare-and-swap of `base` from 0 to a mark, filled, and only then given its base;
 * it is given up by setting base to 0 again. A mapping whose address faults is alive (its reader
 * holds it), so its slot cannot change under the handler; a slot that changes hands meanwhile is
 * told by reading `base` again after `end`. */
#include "layers/image-map.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#define SLOTS_PER_BLOCK 64
#define SLOT_TAKEN      1

struct VfImageMap {
  _Atomic guintptr base; /* 0: free; SLOT_TAKEN: being filled */
  _Atomic guintptr end;  /* one past the last mapped byte */
  atomic_bool bad;
};

typedef struct VfMapBlock VfMapBlock;
struct VfMapBlock {
  VfMapBlock *next; /* set before the block is published */
  VfImageMap slots[SLOTS_PER_BLOCK];
};

static _Atomic (VfMapBlock *) all_blocks;
static struct sigaction former_action;

static VfImageMap *
find_map (guintptr address)
{
  for (VfMapBlock *block = atomic_load (&all_blocks); block; block = block->next)
    for (gsize i = 0; i < SLOTS_PER_BLOCK; i++) {
      VfImageMap *map = &block->slots[i];
      guintptr base = atomic_load (&map->base);
      guintptr end = atomic_load (&map->end);
      if (base > SLOT_TAKEN && address >= base && address < end && atomic_load (&map->base) == base)
        return map;
    }
  return NULL;
}

/* Lets the former owner of the signal have it. Its default is to end the process: the handler is
 * taken away and the instruction that faulted runs, and faults, again. */
static void
pass_on (int number, siginfo_t *info, void *context)
{
  if (former_action.sa_flags & SA_SIGINFO) {
    former_action.sa_sigaction (number, info, context);
    return;
  }
  if (former_action.sa_handler != SIG_DFL && former_action.sa_handler != SIG_IGN) {
    former_action.sa_handler (number);
    return;
  }
  if (info->si_code <= 0 && former_action.sa_handler == SIG_IGN)
    return; /* sent by kill(), and somebody chose to ignore that */
  signal (SIGBUS, SIG_DFL);
  if (info->si_code <= 0)
    raise (SIGBUS);
}

static void
on_sigbus (int number, siginfo_t *info, void *context)
{
  int saved_errno = errno;
  VfImageMap *map = info->si_code > 0 ? find_map ((guintptr)info->si_addr) : NULL;
  if (!map) {
    pass_on (number, info, context);
    errno = saved_errno;
    return;
  }
  /* The mark first: whoever sees a zero page must see the mark. */
  atomic_store (&map->bad, true);
  guintptr base = atomic_load (&map->base);
  void *zeros = mmap ((void *)base, atomic_load (&map->end) - base, PROT_READ,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
  if (zeros == MAP_FAILED)
    pass_on (number, info, context);
  errno = saved_errno;
}

static gpointer
install_handler (gpointer unused)
{
  struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigemptyset (&action.sa_mask);
  sigaction (SIGBUS, &action, &former_action);
  return GINT_TO_POINTER (TRUE);
}

static VfImageMap *
take_slot (void)
{
  for (VfMapBlock *block = atomic_load (&all_blocks); block; block = block->next)
    for (gsize i = 0; i < SLOTS_PER_BLOCK; i++) {
      guintptr expected = 0;
      if (atomic_compare_exchange_strong (&block->slots[i].base, &expected, SLOT_TAKEN))
        return &block->slots[i];
    }
  VfMapBlock *block = g_new0 (VfMapBlock, 1);
  atomic_store (&block->slots[0].base, SLOT_TAKEN);
  block->next = atomic_load (&all_blocks);
  while (!atomic_compare_exchange_weak (&all_blocks, &block->next, block))
    ;
  return &block->slots[0];
}

VfImageMap *
vf_image_map_new (int fd, gsize length)
{
  static GOnce once = G_ONCE_INIT;
  g_once (&once, install_handler, NULL);

  void *data = mmap (NULL, length, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED)
    return NULL;
  gsize page = (gsize)getpagesize ();
  VfImageMap *map = take_slot ();
  atomic_store (&map->bad, false);
  atomic_store (&map->end, (guintptr)data + (length + page - 1) / page * page);
  atomic_store (&map->base, (guintptr)data);
  return map;
}

void
vf_image_map_free (VfImageMap *map)
{
  guintptr base = atomic_load (&map->base);
  guintptr end = atomic_load (&map->end);
  atomic_store (&map->base, 0); /* first: the address may be somebody else's once it is unmapped */
  munmap ((void *)base, end - base);
}

const void *
vf_image_map_data (const VfImageMap *map)
{
  return (const void *)atomic_load_explicit (&map->base, memory_order_relaxed);
}

gboolean
vf_image_map_bad (const VfImageMap *map)
{
  /* The compiler must not move a read of the mapping behind this one. */
  atomic_thread_fence (memory_order_acquire);
  return atomic_load_explicit (&map->bad, memory_order_acquire);
}
