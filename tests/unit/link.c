/* link.c - linked with one whole layer at a time; that it links is the test. */
int
main(void)
{
    return 0;
}
