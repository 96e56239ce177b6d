/*
 * prefix.h - the names under which the linker knows bins.h and fmt.h.
 *
 * A device compiles HMM's sources together with its own, and these two with them. The prefix keeps their functions from
 * clashing with the device's.
 */
#ifndef MEMS_BASE_PREFIX_H
#define MEMS_BASE_PREFIX_H

#define bins_find mems_bins_find
#define bins_insert mems_bins_insert
#define bins_map_above mems_bins_map_above
#define bins_map_clear mems_bins_map_clear
#define bins_map_set mems_bins_map_set
#define bins_place mems_bins_place
#define bins_remove mems_bins_remove
#define bins_valid mems_bins_valid
#define fmt_char mems_fmt_char
#define fmt_column mems_fmt_column
#define fmt_decimal mems_fmt_decimal
#define fmt_format mems_fmt_format
#define fmt_hex mems_fmt_hex
#define fmt_init mems_fmt_init
#define fmt_label mems_fmt_label
#define fmt_pointer mems_fmt_pointer
#define fmt_signed mems_fmt_signed
#define fmt_text mems_fmt_text

#endif
