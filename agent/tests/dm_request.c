/* Two requests to the device mapper, by the kernel's own header: the names and values are those of the test that compares them. */
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <string.h>

enum { SIZE = 1024 };

static struct dm_ioctl *fill(unsigned char *buffer)
{
    struct dm_ioctl *head = (struct dm_ioctl *)buffer;
    memset(buffer, 0, SIZE);
    head->version[0] = 4;
    head->data_size = SIZE;
    head->data_start = sizeof *head;
    strcpy(head->name, "some-name");
    return head;
}

int main(void)
{
    static _Alignas(8) unsigned char buffer[SIZE];
    fill(buffer);
    fwrite(buffer, 1, SIZE, stdout);
    struct dm_ioctl *head = fill(buffer);
    head->flags = DM_READONLY_FLAG;
    head->target_count = 1;
    struct dm_target_spec *spec = (struct dm_target_spec *)(buffer + sizeof *head);
    spec->length = 0x123456789aULL;
    strcpy(spec->target_type, "verity");
    strcpy((char *)(spec + 1), "1 2 3");
    fwrite(buffer, 1, SIZE, stdout);
    return 0;
}
