/* trim.c - see trim.h. Only segments that are mapped without PF_W are touched: their pages are
 * clean copies of a file. */
#include <gossamer/trim.h>

#include <link.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static int
drop_object(struct dl_phdr_info *o, size_t size, void *arg)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    (void)size;
    (void)arg;
    for (int i = 0; i < o->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &o->dlpi_phdr[i];
        uintptr_t from = o->dlpi_addr + p->p_vaddr;
        uintptr_t to = from + p->p_filesz;

        if (p->p_type != PT_LOAD || (p->p_flags & PF_W))
            continue;
        from &= ~(page - 1);
        to = (to + page - 1) & ~(page - 1);
        (void)madvise((void *)from, to - from, MADV_DONTNEED); /* a hint: failing costs nothing */
    }
    return 0;
}

void
gs_trim(void)
{
    dl_iterate_phdr(drop_object, NULL);
    malloc_trim(0);
}
