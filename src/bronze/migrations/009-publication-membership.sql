-- By what the publication sends the table: another where the table was taken out of it and put back, or it was altered or
-- made anew, so that changes in between may be missing. NULL where that is not known yet.
ALTER TABLE bronze.cdc_tables ADD COLUMN membership text;
